"""Published constants of n*(C) and B_p*(C): a prior for those who have no sweep of their own.

All were read off figures of the IsoCompute Playbook (arXiv 2603.12151; project page, fit legends), for
Qwen2.5-7B-Instruct on Guru-Math under GRPO: Easy has base avg@16 in [0.3, 0.6], Hard in [0, 0.0625]. They hold for that
model, data and method; elsewhere they say the shape, not the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hone.compute.logistic import Against, Logistic
from hone.core.errors import DataError, nearest


@dataclass(frozen=True)
class Published:
    """One printed fit. `predicts` is the key that the curve gives; `fixed` says what was held in that question."""

    setting: str
    difficulty: Literal["easy", "hard"]
    predicts: Literal["num_generations", "problems_per_step"]
    fixed: str
    curve: Logistic
    note: str = ""


def _curve(L: float, k: float, midpoint: float, b: float, against: Against, unit: str) -> Logistic:
    return Logistic(L=L, k=k, midpoint=midpoint, b=b, against=against, unit=unit)


PUBLISHED: tuple[Published, ...] = (
    Published(
        "q1_easy", "easy", "num_generations", "problems_per_step = 32",
        _curve(6.09, 4.75, 5.84, 2.73, "log10", "rollouts"), "points reach 512",
    ),
    Published(
        "q1_hard", "hard", "num_generations", "problems_per_step = 32",
        _curve(4.47, 7.23, 5.84, 2.79, "log10", "rollouts"), "points at 128",
    ),
    Published(
        "q3_easy", "easy", "num_generations", "nothing",
        _curve(5.67, 8.84, 6.08, 3.08, "log10", "rollouts"),
    ),
    Published(
        "q3_hard", "hard", "num_generations", "nothing",
        _curve(3.97, 50.0, 6.13, 3.04, "log10", "rollouts"), "k is the fit's bound: a step, not a slope",
    ),
    Published(
        "q1_easy_tokens", "easy", "num_generations", "problems_per_step = 32",
        _curve(6.62, 3.47, 9.18, 2.64, "log10", "tokens"),
    ),
    Published(
        "q2_easy_n", "easy", "num_generations", "num_generations x problems_per_step = 8192",
        _curve(7.10, 0.01, 91.7, 2.00, "steps", "steps"),
    ),
    Published(
        "q2_easy_problems", "easy", "problems_per_step", "num_generations x problems_per_step = 8192",
        _curve(10.73, -0.01, 23.9, 3.88, "steps", "steps"), "k printed with its sign: it falls with the steps",
    ),
)  # fmt: skip


def published(setting: str) -> Published:
    """The printed fit of that name. DataError for another name."""
    by_name = {row.setting: row for row in PUBLISHED}
    if setting not in by_name:
        raise DataError(f"There is no published fit `{setting}`.", nearest(setting, list(by_name)))
    return by_name[setting]
