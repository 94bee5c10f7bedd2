"""The fused kernels between matrix products, run by Triton's interpreter, against plain torch in float64."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

import torch.nn.functional as F

from hone.kernels.layer_triton import add_and_norm, rotate_and_store, silu_gate

LIMITS = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
DTYPES = pytest.mark.parametrize("dtype", LIMITS)


@pytest.fixture(autouse=True)
def _on_device() -> Iterator[None]:
    with torch.device(DEVICE):
        yield


def close(got: torch.Tensor, want: torch.Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(got.double(), want, atol=LIMITS[dtype], rtol=LIMITS[dtype])


@DTYPES
@pytest.mark.parametrize("width", [32, 48])
@pytest.mark.parametrize("adds", [True, False])
def test_sum_is_kept_and_normed(dtype: torch.dtype, width: int, adds: bool) -> None:
    torch.manual_seed(0)
    residual, weight = torch.randn(5, width), torch.randn(width)
    added = torch.randn(5, width).to(dtype) if adds else None
    total = residual.double() + (added.double() if added is not None else 0)
    normed = add_and_norm(residual, added, weight, 1e-6, dtype)
    close(residual, total, torch.float32)
    assert normed.dtype == dtype
    close(normed, F.rms_norm(total, (width,), weight.double(), 1e-6), dtype)


def test_a_sum_in_low_precision_is_normed_as_it_is_kept() -> None:
    residual, added = torch.full((1, 32), 256.0).bfloat16(), torch.full((1, 32), 0.5).bfloat16()
    added[0, 0] = 100.0
    normed = add_and_norm(residual, added, torch.ones(32).bfloat16(), 0.0, torch.bfloat16)
    assert residual[0, 1] == 256
    torch.testing.assert_close(normed.float(), F.rms_norm(residual.float(), (32,)), rtol=2**-8, atol=0)


@DTYPES
@pytest.mark.parametrize("rep", [1, 2, 7])
@pytest.mark.parametrize("dim", [8, 24])
@pytest.mark.parametrize(("norms", "rotates"), [(True, True), (False, True), (False, False)])
def test_queries_are_turned_and_keys_and_values_stored_in_their_place(
    dtype: torch.dtype, rep: int, dim: int, norms: bool, rotates: bool
) -> None:
    torch.manual_seed(0)
    batch, num_kv, num_heads = 3, 2, 2 * rep
    heads = torch.randn(batch, num_heads + 2 * num_kv, dim).to(dtype)
    angles = torch.randn(batch, dim // 2)
    cos, sin = angles.cos().repeat(1, 2), torch.cat([-angles.sin(), angles.sin()], 1)
    weights = (torch.randn(dim), torch.randn(dim), 1e-6) if norms else None
    cache = torch.zeros(2, 5, num_kv, 6, dim, dtype=dtype)
    slots, places = torch.tensor([4, 0, 2]), torch.tensor([5, 0, 3])
    got = rotate_and_store(heads, cos, sin, weights, rotates, cache, slots, places)

    q, k, v = heads.double().split([num_heads, num_kv, num_kv], 1)
    if weights is not None:
        q, k = (F.rms_norm(x, (dim,), w.double(), 1e-6) for x, w in zip((q, k), weights))
    if rotates:
        half, sine = dim // 2, angles.sin().repeat(1, 2).double()[:, None]
        q, k = (
            x * cos.double()[:, None] + torch.cat([-x[..., half:], x[..., :half]], -1) * sine for x in (q, k)
        )
    close(got, q, dtype)
    close(cache[0, slots, :, places], k, dtype)
    assert torch.equal(cache[1, slots, :, places].double(), v)
    cache[:, slots, :, places] = 0
    assert not cache.any()


@DTYPES
@pytest.mark.parametrize("width", [48, 1500])
def test_gates_open_by_silu(dtype: torch.dtype, width: int) -> None:
    torch.manual_seed(0)
    gate_up = (torch.randn(3, 2 * width) * 3).to(dtype)
    gate, up = gate_up.double().chunk(2, -1)
    close(silu_gate(gate_up), F.silu(gate) * up, dtype)
