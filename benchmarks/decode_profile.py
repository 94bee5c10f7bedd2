"""How much of decoding is Python and launches, not arithmetic: shown in ways that do not depend on one another.

python benchmarks/decode_profile.py [--sequences 64] [--json FILE]

1. Under torch's profiler: the time inside the kernels that compute, against the wall time of the same loop. What is
   left is Python, dispatch, views and allocations. The profiler slows down what is small: this is an upper bound.
2. The same loop on a model of the same depth that is 16 channels wide, against the real one. It runs the same Python
   and launches as many kernels, with next to nothing to compute in each.
3. On a CPU with numba, by the clock: the time inside compiled kernels and in computing the prompts, against the wall
   time of the same loop. Nothing but the clock is added; what a launch costs inside its kernel is not seen.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import add_size, arguments, facts, run, spread, table, workload_of, write
from torch._C._profiler import _ExperimentalConfig
from torch.profiler import ProfilerActivity, profile, record_function

from hone.core.errors import EngineError
from hone.engines.native_model import NativeModel
from hone.kernels.numba_jit import has_numba
from hone.policies import shapes
from hone.training.bench.stepping import Bench

if has_numba():
    from hone.kernels import layers_numba

WARM_UP = 2
NARROW = {"hidden": 16, "heads": 1, "kv_heads": 1, "head_dim": 16, "ffn": 16, "vocab": 64}
# Operators that compute nothing: they make tensors, or look at one in another way.
BOOKKEEPING = {
    "aten::" + name
    for name in (
        "as_strided", "view", "_unsafe_view", "reshape", "_reshape_alias", "slice", "select", "narrow", "split",
        "chunk", "unbind", "transpose", "t", "permute", "expand", "unsqueeze", "squeeze", "flatten", "empty",
        "empty_like", "empty_strided", "resize_", "resolve_conj", "resolve_neg", "lift_fresh", "detach", "alias",
        "item", "_local_scalar_dense", "is_nonzero", "result_type", "set_",
    )
}  # fmt: skip


KERNELS = ("aten::", "mkl::", "numba::")  # names of what computes begin so


@contextmanager
def numba_wrapped(wrap: Callable[..., None]) -> Iterator[None]:
    """Call `wrap(name, kernel, *values)` wherever the library calls a kernel of numba's."""
    kernels = (
        {name: f for name, f in vars(layers_numba).items() if hasattr(f, "py_func")} if has_numba() else {}
    )
    try:
        for name, kernel in kernels.items():
            setattr(layers_numba, name, partial(wrap, name, kernel))
        yield
    finally:
        for name, kernel in kernels.items():
            setattr(layers_numba, name, kernel)


def _recorded(name: str, kernel: Callable[..., None], *values: Any) -> None:
    """Let torch's profiler see numba's kernels, which it knows nothing of."""
    with record_function(f"numba::{name}"):
        kernel(*values)


def narrow(model: str) -> str:
    """The shape of a model of the same family and depth, 16 channels wide."""
    family, numbers = shapes.parse(model)
    changed = {**numbers, **NARROW}
    return f"{family}:" + ",".join(f"{key}={value}" for key, value in changed.items())


def computing(events: Iterable[Any], device: torch.device) -> float:
    """Seconds inside kernels: on a CPU the self time of operators that compute, on a GPU what the GPU was busy with."""
    if device.type == "cuda":
        return (
            sum(e.self_device_time_total for e in events if e.device_type == torch.autograd.DeviceType.CUDA)
            / 1e6
        )
    found = (e for e in events if e.name.startswith(KERNELS) and e.name not in BOOKKEEPING)
    return sum(e.self_cpu_time_total for e in found) / 1e6


def by_profiler(bench: Bench) -> dict[str, float]:
    """Seconds of one sampled step under the profiler, and of them inside kernels."""
    kinds = [ProfilerActivity.CPU]
    if bench.device.type == "cuda":
        kinds.append(ProfilerActivity.CUDA)
    everywhere = _ExperimentalConfig(profile_all_threads=True)  # engines run in a thread of their own
    with numba_wrapped(_recorded), profile(activities=kinds, experimental_config=everywhere) as found:
        wall = bench.sample()
    inside = computing(found.events(), bench.device)
    if not inside:
        raise EngineError("The profiler saw no kernel.", "Report this: it is a bug.")
    return {"wall": wall, "kernels": inside, "overhead": 1 - inside / wall}


def by_clock(bench: Bench, rounds: int) -> dict[str, float]:
    """Medians of the seconds of a sampled step, and of them inside numba's kernels and the prefill."""
    inside: list[float] = []

    def timed(_: str, kernel: Callable[..., Any], *values: Any) -> Any:
        start = time.perf_counter()
        found = kernel(*values)
        inside.append(time.perf_counter() - start)
        return found

    walls, kernels = [], []
    prefill = NativeModel.prefill

    def timed_prefill(model: NativeModel, *values: Any) -> Any:
        return timed("", prefill, model, *values)

    with numba_wrapped(timed):
        NativeModel.prefill = timed_prefill  # type: ignore[method-assign]
        try:
            for _ in range(rounds):
                inside.clear()
                walls.append(bench.sample())
                kernels.append(sum(inside))
        finally:
            NativeModel.prefill = prefill  # type: ignore[method-assign]
    overhead = statistics.median(1 - k / w for k, w in zip(kernels, walls))
    return {"wall": statistics.median(walls), "kernels": statistics.median(kernels), "overhead": overhead}


def main() -> None:
    """Read the command line, measure, print a table and write the figures."""
    parser = arguments(__doc__, rounds=7)
    add_size(parser)
    parser.add_argument("--sequences", type=int, default=64)
    given = parser.parse_args()
    problems, generations = max(1, given.sequences // 16), min(16, given.sequences)
    real = replace(workload_of(given), problems=problems, generations=generations)
    with tempfile.TemporaryDirectory(prefix="hone-profile-") as name:
        benches = {}
        for which, workload in (("real", real), ("narrow", replace(real, model=narrow(real.name)))):
            folder = Path(name) / which
            folder.mkdir()
            benches[which] = Bench(workload, folder)
        seconds: dict[str, list[float]] = {"real": [], "narrow": []}
        for _ in range(WARM_UP + given.rounds):
            for which, bench in benches.items():
                seconds[which].append(bench.sample())
        profiled = by_profiler(benches["real"])
        clocked = by_clock(benches["real"], given.rounds) if has_numba() else None
        device = benches["real"].device
    walls = {which: spread(found[WARM_UP:]) for which, found in seconds.items()}
    ratio = statistics.median(b / a for a, b in zip(*(found[WARM_UP:] for found in seconds.values())))
    rows = [
        ["inside computing kernels, of the wall time under the profiler", f"{profiled['kernels']:.3f} s",
         f"{profiled['wall']:.3f} s", f"{profiled['overhead']:.0%}"],
        ["16 channels wide, against the real model", f"{walls['narrow']['median']:.3f} s",
         f"{walls['real']['median']:.3f} s", f"{ratio:.0%}"],
    ]  # fmt: skip
    if clocked is not None and device.type == "cpu":
        rows.append(
            ["inside compiled kernels by the clock", f"{clocked['kernels']:.3f} s", f"{clocked['wall']:.3f} s",
             f"{clocked['overhead']:.0%}"]
        )  # fmt: skip
    print(table(("way", "measured", "against", "overhead"), rows))
    steps = real.completion
    print(
        f"\n{1e3 * walls['real']['median'] / steps:.2f} ms for a token of each of {real.rollouts} sequences."
    )
    body = {
        "machine": facts(device),
        "profiler": profiled,
        "clock": clocked,
        "seconds": walls,
        "narrow_over_real": ratio,
    }
    write(given.json, body)


if __name__ == "__main__":
    run(main)
