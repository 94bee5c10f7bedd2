"""The CPU kernels against plain torch in float64, bit for bit on any number of threads, and on bad numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hone.core.sampling import SamplingParams
from hone.engines.sampler import draw, settings

pytest.importorskip("numba")

from hone.kernels import fused_cpu, numba_jit
from hone.kernels import layers_numba as kernels

EPS = np.float32(1e-6)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    numba_jit.prepare()


def close(got: np.ndarray, want: torch.Tensor, limit: float = 1e-5) -> None:
    torch.testing.assert_close(torch.from_numpy(got).double(), want.double(), atol=limit, rtol=limit)


def on_any_threads(run: Callable[[], None], out: np.ndarray) -> None:
    """`run` fills `out` with the same bits on one thread and on two."""
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            numba_jit.prepare()
            run()
            results.append(out.copy())
    finally:
        torch.set_num_threads(before)
        numba_jit.prepare()
    np.testing.assert_array_equal(*results)


def test_kernels_are_read_from_the_store_and_refuse_other_types() -> None:
    """A process that compiled them itself would round otherwise than later ones."""
    for made in (kernels.draw, kernels.merge_own, kernels.norm_backward):
        assert made.stats.cache_hits.total() == 1
        assert not made.stats.cache_misses
    with pytest.raises(TypeError, match="No matching definition"):
        kernels.silu_gate(np.zeros((2, 8)), np.zeros((2, 4), np.float32))


def test_compiling_is_said_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[int] = []
    monkeypatch.setattr(numba_jit._Kernel, "on_disk", lambda kernel: False)
    monkeypatch.setattr(numba_jit, "_compile_elsewhere", lambda: said.append(len(caplog.messages)))
    monkeypatch.setattr(numba_jit, "compile_named", lambda *names: None)
    numba_jit._load.__wrapped__()
    assert "Compiling kernels" in caplog.messages[0]
    assert said == [1]


NOWHERE = """
import logging
from numba.core.caching import CacheImpl, UserProvidedCacheLocator
CacheImpl._locator_classes = [UserProvidedCacheLocator]  # neither the package's folder nor the home can be written
logging.basicConfig(format="%(message)s")
from hone.kernels import layers_numba
from hone.lab import kernel
"""


def test_where_nothing_can_be_kept_kernels_get_a_folder_that_goes_with_the_process(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    program = NOWHERE + "import os; print(os.path.isdir(os.environ['NUMBA_CACHE_DIR']))"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"
    assert done.stderr.count("every run compiles them. Set NUMBA_CACHE_DIR") == 1
    assert list(tmp_path.glob("hone-kernels-*")) == []


def test_exp_is_within_two_units_in_the_last_place() -> None:
    x = np.linspace(-87, 88, 20_001, dtype=np.float32)
    got = np.array([kernels.exp(v) for v in x], np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(got - exact) / np.spacing(exact.astype(np.float32))).max() <= 2
    assert kernels.exp(np.float32(-100)) == kernels.exp(np.float32(-np.inf)) == 0
    assert np.isnan(kernels.exp(np.float32(np.nan)))


@pytest.mark.parametrize("width", [16, 37])
@pytest.mark.parametrize("adds", [True, False])
def test_a_sum_is_kept_and_normed(width: int, adds: bool) -> None:
    x, weight = torch.randn(9, width), torch.randn(width)
    added = torch.randn(9, width) if adds else torch.empty(0, width)
    state, out = x.clone().numpy(), np.empty((9, width), np.float32)
    kernels.add_and_norm(state, added.numpy(), weight.numpy(), EPS, out)
    total = x + added if adds else x
    close(state, total)
    close(out, F.rms_norm(total.double(), (width,), weight.double(), 1e-6))


@pytest.mark.parametrize("rep", [1, 3])
@pytest.mark.parametrize(("norms", "rotates"), [(True, True), (False, True), (True, False), (False, False)])
def test_queries_are_turned_and_keys_and_values_stored(rep: int, norms: bool, rotates: bool) -> None:
    rows, num_kv, dim, places = 5, 2, 8, 4
    turned = num_kv * (rep + 1)
    heads = torch.randn(rows, turned + num_kv, dim)
    weights = torch.randn(turned, dim if norms else 0)
    angle = torch.randn(10, dim // 2)
    cos, sin = angle.cos().repeat(1, 2), torch.cat([-angle.sin(), angle.sin()], 1)
    positions, where = torch.tensor([3, 0, 9, 9, 1]), torch.tensor([3, 0, 2, 1, 3])
    keys, values = np.zeros((2, 7, num_kv, places, dim), np.float32)
    slots = np.array([6, 1, 0, 4, 3])
    # Two groups of at most three rows, [prefix, head, member, rep, dim].
    order = torch.tensor([4, 0, 2, 1, 3])
    at = (order // 3 * (num_kv * 3 * rep) + order % 3 * rep) * dim
    queries = np.zeros(6 * num_kv * rep * dim, np.float32)
    kernels.turn_and_store(
        heads.clone().numpy(), weights.numpy(), EPS,
        *(t[:, : dim if rotates else 0].contiguous().numpy() for t in (cos, sin)),
        positions.numpy(), slots, where.numpy(), keys, values, at.numpy(), np.full(rows, 3 * rep * dim),
        np.float32(0.5), queries,
    )  # fmt: skip
    x = heads[:, :turned].double()
    if norms:
        x = F.rms_norm(x, (dim,), None, 1e-6) * weights.double()
    if rotates:
        halves = torch.cat([x[..., dim // 2 :], x[..., : dim // 2]], -1)
        x = x * cos[positions][:, None].double() + halves * sin[positions][:, None].double()
    got = queries.reshape(2, num_kv, 3, rep, dim)
    for row in range(rows):
        cell = int(order[row])
        close(got[cell // 3, :, cell % 3].reshape(-1, dim), 0.5 * x[row, : num_kv * rep])
        close(keys[slots[row], :, where[row]], x[row, num_kv * rep :])
        close(values[slots[row], :, where[row]], heads[row, turned:])
    assert np.count_nonzero(keys) == keys[0, :, 0].size * rows


def test_the_own_part_merges_with_the_prefix_exactly() -> None:
    rows, num_kv, rep, dim, places = 6, 2, 2, 16, 9
    q = torch.randn(rows, num_kv, rep, dim)
    keys, values = torch.randn(2, rows + 2, num_kv, places, dim)
    slots = np.array([5, 7, 0, 2, 1, 4])
    prefix_keys, prefix_values = torch.randn(2, num_kv, 5, dim)
    used = torch.tensor([1, 9, 4, 2, 7, 3])
    scores = q.double() @ prefix_keys.double().transpose(-1, -2)
    shared, lse = scores.softmax(-1) @ prefix_values.double(), scores.logsumexp(-1)
    out = np.empty((rows, num_kv * rep, dim), np.float32)
    flat = [x.float().reshape(-1).numpy() for x in (q, shared, lse)]
    at = np.arange(rows) * (num_kv * rep * dim)
    arguments = (
        *flat,
        at,
        np.full(rows, rep * dim),
        keys.numpy(),
        values.numpy(),
        slots,
        (used - 1).numpy(),
        out,
    )
    on_any_threads(lambda: kernels.merge_own(*arguments), out)
    for row in range(rows):
        k = torch.cat([prefix_keys, keys[slots[row], :, : used[row]]], 1).double()
        v = torch.cat([prefix_values, values[slots[row], :, : used[row]]], 1).double()
        want = (q[row].double() @ k.transpose(-1, -2)).softmax(-1) @ v
        close(out[row], want.reshape(-1, dim))


def test_queries_attend_to_their_prefixes() -> None:
    """Units of a prefix's layers, of other lengths and numbers of queries, on any threads; NaN is seen."""
    dim, sizes, layers = 8, [(1, 3), (17, 1), (200, 64)], 2
    stored = [torch.randn(layers, 2, length, dim) for length, _ in sizes]
    starts = np.cumsum([0, *(count for _, count in sizes)])
    queries = torch.randn(int(starts[-1]), dim)
    units = np.array(
        [
            (kv[0, 0].data_ptr(), kv[0, 1].data_ptr(), 4 * kv.stride(0), length, start, count)
            for kv, (length, count), start in zip(stored, sizes, starts)
        ]
    )
    shared, lse = np.empty(queries.numel(), np.float32), np.empty(len(queries), np.float32)
    for index in range(layers):
        on_any_threads(
            lambda index=index: kernels.attend_prefixes(
                queries.numpy().reshape(-1), units, index, dim, shared, lse
            ),
            shared,
        )
        for kv, (_, count), start in zip(stored, sizes, starts):
            keys, values = kv[index].double()
            scores = queries[start : start + count].double() @ keys.T
            close(shared.reshape(-1, dim)[start : start + count], scores.softmax(-1) @ values)
            close(lse[start : start + count], scores.logsumexp(-1))
    stored[1][0, 0, 3, 3] = torch.nan
    kernels.attend_prefixes(queries.numpy().reshape(-1), units, 0, dim, shared, lse)
    assert np.isnan(lse).tolist() == [3 <= row < 4 for row in range(len(lse))]


@pytest.mark.parametrize("size", [3, 64, 1000])
def test_draws_are_those_of_the_plain_sampler(size: int) -> None:
    params = [SamplingParams(1, temperature=t) for t in (1.0, 0.3, 0.0, 2.0)]
    kinds = np.arange(4000) % 4
    logits, uniforms = 3 * torch.randn(4000, size), torch.rand(4000, dtype=torch.float64)
    uniforms[:8], uniforms[8:16] = 0.0, 1 - 2**-53
    want, logprobs = draw(logits.double(), uniforms, settings(params).rows(kinds))
    got, found = np.empty(4000, np.int64), np.empty(4000, np.float32)
    temperature = np.array([p.temperature for p in params], np.float32)[kinds]
    on_any_threads(lambda: kernels.draw(logits.numpy(), uniforms.numpy(), temperature, got, found), found)
    same = got == want.numpy()
    assert same.mean() > 0.999  # but for uniforms at a rounding error from a bound
    close(found[same], logprobs[torch.from_numpy(same)])


def test_tokens_without_probability_are_not_drawn_and_bad_logits_are_seen() -> None:
    logits = torch.full((4, 70), -torch.inf)
    logits[:, 68] = 0.0
    logits[2, 5], logits[3, 5] = torch.nan, torch.inf
    tokens, logprobs = np.empty(4, np.int64), np.empty(4, np.float32)
    uniforms = np.array([0.0, 1 - 2**-53, 0.5, 0.5])
    kernels.draw(logits.numpy(), uniforms, np.ones(4, np.float32), tokens, logprobs)
    assert tokens[:2].tolist() == [68, 68]
    assert logprobs[:2].tolist() == [0.0, 0.0]
    assert np.isnan(logprobs[2:]).all()
    assert ((tokens >= 0) & (tokens < 70)).all()


def gradients(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> list[torch.Tensor]:
    """The value of `function` and its gradients by `inputs`, for a fixed weighting of its elements."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    (out * torch.arange(out.numel(), dtype=out.dtype).view(out.shape).cos()).sum().backward()
    return [out.detach(), *(x.grad for x in leaves if x.grad is not None)]


@pytest.mark.parametrize("shape", [(3, 5, 8), (1, 5000, 37)])
def test_gradients_of_norms(shape: tuple[int, ...]) -> None:
    x, weight = torch.randn(shape), torch.randn(shape[-1])
    got = gradients(lambda x, w: fused_cpu.rms_norm(x, w, 1e-6), x, weight)
    want = gradients(lambda x, w: F.rms_norm(x, w.shape, w, 1e-6), x.double(), weight.double())
    for ours, exact in zip(got, want):
        torch.testing.assert_close(ours.double(), exact, atol=2e-4, rtol=1e-5)


def test_gradients_of_gates() -> None:
    gate, up = 4 * torch.randn(3, 7, 50), torch.randn(3, 7, 50)
    gate[0, 0, :4] = torch.tensor([-200.0, 200.0, -87.5, 0.0])
    got = gradients(fused_cpu.silu_gate, gate, up)
    want = gradients(lambda g, u: F.silu(g) * u, gate.double(), up.double())
    for ours, exact in zip(got, want):
        torch.testing.assert_close(ours.double(), exact, atol=1e-5, rtol=1e-5)


def test_gradients_of_views_and_numbers_that_are_not_finite() -> None:
    x = torch.randn(4, 6, 8)
    got = gradients(lambda x, w: fused_cpu.rms_norm(x.transpose(0, 1), w, 1e-6), x, torch.ones(8))
    want = gradients(lambda x, w: F.rms_norm(x.transpose(0, 1), (8,), w, 1e-6), x, torch.ones(8))
    torch.testing.assert_close(got, want)
    x[0, 0, 0] = torch.nan
    assert fused_cpu.rms_norm(x, torch.ones(8), 1e-6)[0, 0].isnan().all()
    assert fused_cpu.silu_gate(x, torch.ones_like(x))[0, 0, 0].isnan()


def test_weights_gradients_do_not_depend_on_threads() -> None:
    x, weight = torch.randn(9000, 64), torch.randn(64)
    out = np.empty(64, np.float32)

    def run() -> None:
        out[:] = gradients(lambda x, w: fused_cpu.rms_norm(x, w, 1e-6), x, weight)[2].numpy()

    on_any_threads(run, out)
