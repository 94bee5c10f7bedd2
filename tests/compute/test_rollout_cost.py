"""What a rollout costs in each unit, against counts of whole groups, and budgets without a meaning."""

from __future__ import annotations

import pytest

from hone.compute.cost import Decoder, rollout_flops, sampling_work, training_flops
from hone.compute.rollout_cost import Budget, RolloutCost, cost_of, passes_of
from hone.core.errors import RecipeError

DECODER = Decoder(hidden=8, layers=2, heads=2, kv_heads=1, head_dim=4, ffn=12, vocab=20)


@pytest.mark.parametrize("n", [2, 8])
def test_flops_of_a_rollout_are_those_of_its_group_divided(n):
    cost = cost_of(DECODER, [10], [[7] * 4], 1, passes_of(1, 1, False))
    sampled = sampling_work(DECODER, [10], [[7] * n], 1).flops
    forward = rollout_flops(DECODER, [10], [[7] * n])
    assert cost.flops(n) == pytest.approx((sampled + training_flops(forward) + forward) / n)


def test_each_unit_divides_the_budget():
    cost = RolloutCost(16, 10, 1, 3, 100, 50, 60, seconds=0.5)
    assert cost.affords(Budget(1000), 8) == 1000
    assert cost.affords(Budget(1000, "sampled_tokens"), 8) == 100
    assert cost.affords(Budget(1000, "tokens"), 8) == 41  # 2 x (16 / 8 + 10) = 24 tokens each
    assert cost.affords(Budget(28_000, "flops"), 8) == 100  # 4 x 100 / 8 + 50 + 3 x 60 = 280 each
    assert cost.affords(Budget(2, "hours"), 8) == 14_400
    assert cost.affords(Budget(5, "price", price_per_hour=2.5), 8) == 14_400
    assert "0.5 s of a measured step, an hour costs 2.5" in cost.words(Budget(5, "price", 2.5), 8)
    assert cost.words(Budget(1000, "sampled_tokens"), 8).startswith("1000 sampled tokens are 100 rollouts")


def test_what_was_not_measured_is_not_planned_with():
    cost = cost_of(None, [4, 6], [[2], [4]], 1, 3)
    assert (cost.prompt_tokens, cost.completion_tokens, cost.flops(4)) == (5, 3, None)
    with pytest.raises(RecipeError, match="no decoder of the Llama family"):
        cost.affords(Budget(1e9, "flops"), 4)
    with pytest.raises(RecipeError, match="No step was timed"):
        cost.affords(Budget(1, "hours"), 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0, "rollouts"), "must be above 0"),
        ((float("inf"), "rollouts"), "finite"),
        ((5, "hour"), "Did you mean `hours`"),
        ((5, "price"), "--price-per-hour"),
        ((5, "price", -1), "price of an hour is -1"),
    ],
)
def test_budgets_without_a_meaning_are_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        Budget(*given)
