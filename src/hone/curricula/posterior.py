"""What is known of pass rates: a Beta posterior for each problem or level, which forgets."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, lgamma, log2

from hone.core.batch import Batch
from hone.core.problem import Problem

Counts = Mapping[
    str, tuple[float, float]
]  # key -> decayed successes and failures; JSON keeps the pair as a list
BINS_OF_AN_OCTAVE = 4


def key_of(problem: Problem, finite: bool) -> str:
    """Under which key a problem's outcomes are counted.

    A finite task meets its problems again: they are told apart by id. One that never repeats a problem shares what it
    learns among problems of like `level`: bins are four to a doubling, so small whole levels have one each.
    """
    if finite:
        return problem.id
    return f"level {round(BINS_OF_AN_OCTAVE * log2(problem.level))}" if problem.level > 0 else "no level"


def observed(counts: Counts, batch: Batch, decay: float, finite: bool) -> dict[str, list[float]]:
    """The counts after a judged batch. A rollout passes if its reward is 1 or more; one that is not ok says nothing.

    Each step that meets a key multiplies by `decay` what was known of it: after many, a key weighs 1 / (1 − decay)
    steps.
    """
    found: dict[str, list[float]] = {}
    for t, ok, reward in zip(batch.trajectories, batch.ok.tolist(), batch.rewards.tolist(), strict=True):
        if ok:
            pair = found.setdefault(key_of(t.problem, finite), [0.0, 0.0])
            pair[0 if reward >= 1 else 1] += 1
    new = {key: list(pair) for key, pair in counts.items()}
    for key, pair in found.items():
        known = new.get(key, [0.0, 0.0])
        new[key] = [decay * known[0] + pair[0], decay * known[1] + pair[1]]
    return new


def power_mean(counts: Counts, key: str, success: float, failure: float) -> float:
    """E[p^`success` (1 − p)^`failure`] under the posterior Beta(1 + successes, 1 + failures): the prior is uniform.

    Finite for powers above -1; a closed form in gamma functions.
    """
    a, b = (1 + n for n in counts.get(key, (0.0, 0.0)))
    return exp(_log_beta(a + success, b + failure) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
