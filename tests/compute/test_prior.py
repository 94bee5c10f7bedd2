"""The published prior: the paper's best groups at stated budgets, and what moves them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hone.compute import prior
from hone.compute.difficulty import classify
from hone.compute.prior import Target
from hone.core.errors import RecipeError

EASY, HARD = classify(np.full(4, 0.45), 16), classify(np.full(4, 0.05), 16)
MIXED = classify(np.array([0.05, 0.45]), 16)
MEAN = Target.of("pass@1")


@pytest.mark.parametrize(
    ("rollouts", "easy", "mixed", "hard"),
    [(1e3, 8, 8, 8), (1e5, 8, 8, 8), (7e5, 64, 32, 32), (1e7, 512, 256, 128), (1e9, 512, 256, 128)],
)
def test_the_best_group_at_published_budgets(rollouts, easy, mixed, hard):
    assert prior.best_generations(rollouts, EASY, MEAN) == easy
    assert prior.best_generations(rollouts, MIXED, MEAN) == mixed
    assert prior.best_generations(rollouts, HARD, MEAN) == hard


def test_few_problems_lower_the_largest_group():
    assert 2 ** prior.log2_saturation(EASY, 6000) == pytest.approx(512)
    assert 2 ** prior.log2_saturation(EASY, 500) == pytest.approx(256)
    assert 2 ** prior.log2_saturation(EASY, 1732) == pytest.approx(256 * 2**0.5, rel=1e-3)
    for problems, most in ((6000, 512), (500, 256), (42, 128), (100_000, 512), (1, 32)):
        assert prior.best_generations(1e8, EASY, MEAN, problems) == most
    assert prior.best_generations(1e8, HARD, MEAN, 500) == 64


def test_the_target_shifts_by_what_the_figure_says():
    worst, best = Target.of("worst@4"), Target.of("best@4")
    assert prior.log2_shift(worst, EASY, 1e8) == pytest.approx(0.875, abs=1e-2)
    assert prior.log2_shift(best, HARD, 1e8) == pytest.approx(1.25, abs=1e-2)
    assert prior.log2_shift(worst, HARD, 1e8) == -prior.log2_shift(best, HARD, 1e8)
    assert prior.log2_shift(worst, EASY, 1e4) == pytest.approx(0, abs=1e-2)  # not seen at small budgets
    assert prior.log2_shift(MEAN, EASY, 1e8) == 0
    for rollouts in (1e5, 1e6, 1e7):
        groups = {name: [prior.best_generations(rollouts, d, t) for t in (best, MEAN, worst)]
                  for name, d in (("easy", EASY), ("hard", HARD))}  # fmt: skip
        assert groups["easy"] == sorted(groups["easy"])
        assert groups["hard"] == sorted(groups["hard"], reverse=True)
    assert prior.best_generations(1e8, HARD, best) == 256  # as in the figure at 32 problems a step
    assert prior.best_generations(1e8, HARD, worst) == 64


def test_targets_have_the_names_of_metrics():
    assert [Target.of(text).metric for text in ("pass@1", "best@4", "pass@4", "worst@8", "worst@1")] == [
        "pass@1", "pass@4", "pass@4", "worst@8", "pass@1",
    ]  # fmt: skip
    for text in ("pass", "maj@4", "best@0", "best@x"):
        with pytest.raises(RecipeError, match="no target"):
            Target.of(text)


def test_the_evidence_leaves_a_range_and_below_it_none():
    assert prior.likely_generations(9e4, EASY, MEAN) is None
    assert prior.likely_generations(7e5, EASY, MEAN) == (16, 64)
    assert prior.likely_generations(1e7, EASY, MEAN) == (16, 512)
    assert prior.likely_generations(1e7, HARD, MEAN) == (128, 128)


def test_a_fixed_batch_goes_from_many_problems_to_large_groups():
    groups = [prior.split_batch(8192, steps, 512) for steps in (1, 50, 92, 300, 2000)]
    assert groups == sorted(groups)
    assert (groups[0], groups[-1]) == (16, 512)
    assert prior.split_batch(8192, 2000, 128) == 128
    assert all(2 <= prior.split_batch(batch, 10, batch) <= batch for batch in (4, 64, 1 << 20))
    assert math.log2(prior.split_batch(64, 2000, 64)) == 4  # 0.7 of six bits
