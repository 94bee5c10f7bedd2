"""Plans from the prior: the budget is kept and spent, the rate follows its rule, and everything odd is said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.compute.learning_rate import Anchor
from hone.compute.measurement import Measurement
from hone.compute.planner import SPENT, plan_from_prior
from hone.compute.rollout_cost import Budget, RolloutCost
from hone.core.errors import RecipeError

COST = RolloutCost(60, 10, 1, 3, 1e6, 2e5, 2.1e5, seconds=0.01)
ANCHOR = Anchor(1e-6, 1024)


def base(rate: float = 0.45, **changed: object) -> Measurement:
    interval = {"value": rate, "low": rate - 0.05, "high": rate + 0.05}
    return replace(Measurement("m", "t", 16, (rate,) * 20, interval, 0.0, 0.0, None, COST), **changed)


@pytest.mark.parametrize(
    ("rollouts", "rate", "expected"),
    [
        (100_000, 0.45, (8, 32, 390)),
        (700_000, 0.45, (64, 32, 341)),
        (10_000_000, 0.45, (512, 32, 610)),
        (100_000, 0.05, (8, 64, 195)),
        (10_000_000, 0.05, (128, 64, 1220)),
        (16_384, 0.05, (8, 32, 64)),  # fewer problems, so that there are 50 steps
        (1_000, 0.45, (8, 8, 15)),
    ],
)
def test_plans_of_the_published_prior(rollouts, rate, expected):
    plan = plan_from_prior(Budget(rollouts), base(rate), ANCHOR)
    assert (plan.num_generations, plan.problems_per_step, plan.steps) == expected
    assert plan.basis == "prior"
    assert plan.expected is None
    assert "only a sweep predicts it" in plan.unexpected
    assert any("A prior, not a measurement" in text for text in plan.sure)
    json.dumps(plan.as_dict(), allow_nan=False)


@settings(max_examples=80, deadline=None)
@given(
    rollouts=st.integers(64, 10**8),
    unit=st.sampled_from(["rollouts", "sampled_tokens", "tokens", "flops", "hours", "price"]),
    rate=st.sampled_from([0.0, 0.05, 0.2, 0.45, 0.75, 1.0]),
    target=st.sampled_from(["pass@1", "best@4", "worst@4"]),
    problems=st.sampled_from([None, 50, 6000]),
    batch=st.sampled_from([None, 64, 1000]),
)
def test_a_plan_keeps_within_its_budget_and_spends_it(rollouts, unit, rate, target, problems, batch):
    price = 2.0 if unit == "price" else None
    each = COST.each(Budget(1, unit, price), 2)
    amount = each * (rollouts + 2 * (batch or 0))
    budget, model = Budget(amount, unit, price), base(rate, train_problems=problems)
    plan = plan_from_prior(budget, model, ANCHOR, target, batch)
    scored = replace(COST, passes=COST.passes + ("kl" in plan.keys))
    each = scored.each(budget, plan.num_generations)
    assert plan.rollouts * each <= amount * (1 + 1e-9)
    assert plan.num_generations >= 2
    assert plan.problems_per_step >= 8
    assert plan.steps >= 1
    buys = scored.affords(budget, plan.num_generations)
    assert plan.rollouts >= (SPENT if batch is None else 0.5 * 0.9) * buys
    step = plan.num_generations * plan.problems_per_step
    assert plan.learning_rate == pytest.approx(1e-6 * np.sqrt(step / 1024), rel=1e-5)
    assert any("too few" in text for text in plan.warnings) == (plan.steps < 10)
    if batch is not None:
        assert 0.9 * batch <= step <= batch


def test_a_larger_budget_never_has_smaller_groups():
    for rate in (0.05, 0.45):
        groups = [
            plan_from_prior(Budget(c), base(rate), ANCHOR).num_generations for c in np.geomspace(1e2, 1e8, 60)
        ]
        assert groups == sorted(groups)


def test_the_recipe_follows_the_difficulty_and_leaves_what_is_set():
    easy, hard = (plan_from_prior(Budget(1e5), base(rate), ANCHOR) for rate in (0.45, 0.05))
    assert easy.keys == {"kl": {"name": "loss", "beta": 0.001}, "entropy_coef": 0.001}
    assert any("does not print their weights" in text for text in easy.why)
    assert hard.keys == {}
    kept = plan_from_prior(Budget(1e5), base(), ANCHOR, kept=["kl"])
    assert kept.keys == {"entropy_coef": 0.001}


def test_the_reference_of_a_kl_is_paid_for():
    budget = Budget(1e11, "flops")
    with_kl = plan_from_prior(budget, base(), ANCHOR)
    without = plan_from_prior(budget, base(), ANCHOR, kept=["kl"])
    assert with_kl.rollouts < without.rollouts


def test_scale_is_said():
    small = plan_from_prior(Budget(16_384), base(), ANCHOR)
    assert "6.1 times below the range" in small.warnings[0]
    assert "floor of 8" in small.warnings[0]
    assert small.between is None
    assert "3.0 times above the range" in plan_from_prior(Budget(3e7), base(), ANCHOR).warnings[0]
    inside = plan_from_prior(Budget(1e6), base(), Anchor(1e-6, 4096))
    assert inside.warnings == ()
    assert inside.between == (16, 128)
    assert any("Llama-3.1-8B at 16" in text for text in inside.sure)
    far = plan_from_prior(Budget(1e7), base(), Anchor(1e-6, 1024))  # 512 x 32 rollouts a step
    assert "16 times the rollouts" in far.warnings[0]
    fixed = plan_from_prior(Budget(16_384), base(0.05), ANCHOR, batch=256)
    assert fixed.warnings == ()
    assert any("did not follow the steps in one direction" in text for text in fixed.why)


def test_the_measurement_is_doubted_where_it_should_be():
    plan = plan_from_prior(Budget(3, "hours"), base(truncated=0.4, no_signal=0.25), ANCHOR)
    words = " ".join(plan.warnings)
    assert "40% of the answers were cut off" in words
    assert "25% of the groups of the timed step had no signal" in words
    assert "cost of a rollout is the base model's" in words
    assert "3 hours are 1,080,000 rollouts" in plan.why[0]


def test_a_tiny_budget_takes_smaller_groups_and_then_is_refused():
    plan = plan_from_prior(Budget(40), base(), ANCHOR)
    assert (plan.num_generations, plan.problems_per_step, plan.steps) == (4, 10, 1)
    assert any("buys no step of such groups" in text for text in plan.why)
    with pytest.raises(RecipeError, match="buys 15 rollouts, fewer than one step of 8 problems"):
        plan_from_prior(Budget(15), base(), ANCHOR)
    with pytest.raises(RecipeError, match="fewer than one step of 256"):
        plan_from_prior(Budget(200), base(), ANCHOR, batch=256)
    with pytest.raises(RecipeError, match="A step of 3 rollouts is too small"):
        plan_from_prior(Budget(200), base(), ANCHOR, batch=3)


def test_a_measurement_survives_json():
    model = base(train_problems=7)
    assert Measurement.from_dict(json.loads(json.dumps(model.as_dict()))) == model
    assert base(1.0).histogram() == [0] * 9 + [20]
