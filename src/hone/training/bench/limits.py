"""What this machine can do, measured: matrix products in two dtypes, and copies of memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch

from hone.training.bench.stepping import synchronize

SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}  # of square matrices; the best of them counts
COPIED = {"cpu": 1 << 28, "cuda": 1 << 31}  # bytes, far more than caches hold
REPEATS = 5
PATIENCE = 0.5  # seconds: where one product takes longer, larger ones are not tried


@dataclass(frozen=True)
class Limits:
    """Operations a second of matrix products, and bytes a second, read and written, of a copy."""

    float32: float
    bfloat16: float
    copy: float

    def matmul(self, dtype: torch.dtype) -> float:
        """Operations a second in `dtype`, which is float32 or bfloat16."""
        return self.bfloat16 if dtype == torch.bfloat16 else self.float32

    def as_json(self) -> dict[str, float]:
        """With the names of the JSON object."""
        found = asdict(self)
        return {
            "matmul_float32_flops_per_s": found["float32"],
            "matmul_bfloat16_flops_per_s": found["bfloat16"],
            "copy_bytes_per_s": found["copy"],
        }


def measure(device: torch.device) -> Limits:
    """Measure `device`; a few seconds. Medians of several repeats, at the size that does best."""
    with torch.inference_mode():
        return Limits(_matmul(device, torch.float32), _matmul(device, torch.bfloat16), _copy(device))


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Median seconds of `work`, after one run that does not count."""
    found = []
    for _ in range(REPEATS + 1):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        found.append(time.perf_counter() - start)
        if found[0] > PATIENCE:
            return found[0]
    return statistics.median(found[1:])


def _kind(device: torch.device) -> str:
    """Which sizes fill the device."""
    return "cpu" if device.type == "cpu" else "cuda"


def _matmul(device: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    for size in SIZES[_kind(device)]:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        seconds = _seconds(device, partial(torch.mm, a, b))
        best = max(best, 2 * size**3 / seconds)
        if seconds > PATIENCE:
            break
    return best


def _copy(device: torch.device) -> float:
    size = COPIED[_kind(device)]
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _seconds(device, lambda: target.copy_(source))
