"""Noise as a pure function of (seed, purpose, step, draw, path, position): one uniform per token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hone.core.problem import stable_hash


@dataclass(frozen=True)
class NoiseKey:
    """Names one stream of uniforms. `path` leads down the tree: problem, rollout, fork, ..."""

    seed: int
    purpose: str = "train"
    step: int = 0
    draw: int = 0
    path: tuple[int, ...] = ()

    def child(self, *steps: int) -> NoiseKey:
        """The key of a branch below this one."""
        return replace(self, path=(*self.path, *steps))


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's finaliser, elementwise (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniforms(keys: list[NoiseKey], length: int) -> npt.NDArray[np.float64]:
    """`[len(keys), length]` uniforms in [0, 1) with 53 bits; entry (i, t) depends on `keys[i]` and t alone."""
    heads = [stable_hash(k.seed, k.purpose, k.step, k.draw, k.path) for k in keys]
    base = np.array(heads, dtype=np.uint64)[:, None]
    with np.errstate(over="ignore"):
        counter = np.arange(1, length + 1, dtype=np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
        bits = _mix(base + counter)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
