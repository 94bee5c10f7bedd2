"""Runs with a known reward curve and binomial noise, and the shapes of some models."""

from __future__ import annotations

import numpy as np

from hone.compute.cost import Decoder
from hone.compute.series import Series

QWEN3 = {
    "1.7B": Decoder(hidden=2048, layers=28, heads=16, kv_heads=8, head_dim=128, ffn=6144, vocab=151_936),
    "4B": Decoder(hidden=2560, layers=36, heads=32, kv_heads=8, head_dim=128, ffn=9728, vocab=151_936),
    "14B": Decoder(hidden=5120, layers=40, heads=40, kv_heads=8, head_dim=128, ffn=17_408, vocab=151_936),
    "32B": Decoder(hidden=5120, layers=64, heads=64, kv_heads=8, head_dim=128, ffn=25_600, vocab=151_936),
}


def sigmoid(compute, A, B, C_mid, R0):
    """R0 + (A - R0) / (1 + (C_mid / C)^B), R0 at 0."""
    c = np.asarray(compute, dtype=float)
    return R0 + (A - R0) * c**B / (c**B + C_mid**B)


def run(
    *,
    A=0.6,
    B=1.2,
    C_mid=3000.0,
    R0=0.1,
    n=4,
    problems=8,
    seed=0,
    total=16384,
    noisy=True,
    cell=None,
    unit="rollouts",
):
    """One run of `total` rollouts, with a reading of `problems` fresh problems before each update."""
    compute = np.arange(0, total, n * problems).astype(float)
    truth = sigmoid(compute, A, B, C_mid, R0)
    rng = np.random.default_rng([seed, n, problems])
    reward = rng.binomial(problems, truth) / problems if noisy else truth
    return Series(
        cell=cell or f"num_generations={n},problems_per_step={problems}",
        seed=seed,
        num_generations=n,
        problems_per_step=problems,
        learning_rate=1e-4,
        unit=unit,
        metric="pass@1",
        compute=compute,
        reward=reward,
        problems=np.full(len(compute), problems),
    )
