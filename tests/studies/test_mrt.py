"""MRT's studies: the hidden arm's states and credit by hand, and statistics that read what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hone.recipes.load import resolve
from hone.studies import mrt_arm, mrt_arm_world, mrt_task
from hone.studies.mrt_arm_world import (
    Policies,
    State,
    Training,
    World,
    advantages,
    answer_success,
    fresh,
    prefixes,
    roll,
    train,
)

NOISY, EXACT = World(5, 0.2, 1.0, 6), World(5, 0.0, 1.0, 6)
HOW = Training("outcome", 2, 8, 4, 1e-2, 8, 0.5, 0.2)


def rolled(world: World, seed: int = 0, problems: int = 6, **keys):
    chance = torch.Generator().manual_seed(seed)
    policies = Policies(2, 8, chance)
    start = fresh(*world.problems((2, problems), chance))
    return policies, start, roll(world, policies, start, world.budget, chance, **keys)


@pytest.mark.parametrize("world", [NOISY, EXACT], ids=["noisy", "exact"])
def test_success_is_that_of_the_likeliest_arm(world: World):
    """Against Bayes' rule, answer by answer."""
    _, start, trace = rolled(world)
    for s in range(2):
        for b in range(6):
            prior = start.prior[s, b].double().exp()
            last = trace.last.net[s, b], trace.last.often[s, b]
            likelihood = torch.ones(world.arms, dtype=torch.float64)
            noise = max(world.noise, 1e-6)
            for arm in range(world.arms):
                net, often = (float(x[arm]) for x in last)
                yes, no = (often + net) / 2, (often - net) / 2
                for secret in range(world.arms):
                    right = 1 - noise if secret == arm else noise
                    likelihood[secret] *= right**yes * (1 - right) ** no
            wanted = float((prior * likelihood).argmax() == start.secret[s, b])
            assert float(answer_success(world, trace.last)[s, b]) == wanted
    assert torch.equal(trace.success[..., -1], answer_success(world, trace.last))
    assert torch.equal(trace.success[..., 0], answer_success(world, start))


def test_exact_answers_are_true_and_a_yes_settles_it():
    prior = torch.zeros(1, 2, 3)
    state = fresh(prior, torch.tensor([[2, 0]]))
    live = torch.tensor([[True, True]])
    after = mrt_arm_world.tested(
        World(3, 0.0, 1.0, 4), state, torch.tensor([[2, 1]]), live, torch.Generator()
    )
    assert after.net.tolist() == [[[0, 0, 1], [0, -1, 0]]]
    assert answer_success(World(3, 0.0, 1.0, 4), after)[0, 0] == 1.0


def test_a_trace_stops_once_and_goes_on_when_forced():
    _, _, trace = rolled(NOISY, problems=40)
    stops = ((trace.actions == NOISY.arms) & trace.live).sum(-1)
    assert stops.max() == 1
    made = ((trace.actions < NOISY.arms) & trace.live).sum(-1)
    assert torch.equal(made.float(), trace.last.tests)
    assert 0 < made.float().mean() < NOISY.budget
    _, _, forced = rolled(NOISY, problems=40, forced=True)
    assert (forced.last.tests == NOISY.budget).all()


def test_a_prefix_is_what_its_trace_knew_at_that_test():
    policies, start, _ = rolled(NOISY, problems=30)
    chance = torch.Generator().manual_seed(5)
    state, spent = prefixes(NOISY, policies, start, chance)
    trace = roll(NOISY, policies, start, NOISY.budget, torch.Generator().manual_seed(5))
    assert spent == pytest.approx(float(trace.last.tests.sum(1).mean()))
    for s in range(2):
        for b in range(30):
            at = int(state.tests[s, b])
            assert at < max(1, int(trace.last.tests[s, b]))
            seen = trace.features[s, b, at] if at < NOISY.budget else None
            assert seen is not None
            assert torch.equal(state.net[s, b], seen[:, 1])
            assert torch.equal(state.often[s, b], seen[:, 2])
    assert len(set(state.tests.flatten().tolist())) > 2


def test_credit_of_the_four_ways():
    _, start, trace = rolled(NOISY)
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    reward = trace.success[..., -1]

    def credit(method: str):
        how = Training(**{**vars(HOW), "method": method})
        return advantages(how, trace, start, groups)

    outcome = credit("outcome")
    for s in range(2):
        for g in (slice(0, 3), slice(3, 6)):
            r = reward[s, g]
            wanted = [float(r[i] - (r.sum() - r[i]) / 2) for i in range(3)]
            assert outcome[s, g, 0].tolist() == pytest.approx(wanted)
    assert (outcome == outcome[..., :1]).all()
    gained = trace.success[..., 1:] - trace.success[..., :-1]
    torch.testing.assert_close(credit("mrt") - outcome, 0.5 * gained)
    above = credit("mrt_rl")
    torch.testing.assert_close(above[..., 0], reward - group_mean(trace.success[..., 0]))
    assert not torch.equal(credit("length_penalty"), outcome)


def group_mean(values: torch.Tensor) -> torch.Tensor:
    return values.reshape(2, 2, 3).mean(-1, keepdim=True).expand(2, 2, 3).reshape(2, 6)


@pytest.mark.parametrize("method", ["outcome", "mrt", "mrt_rl", "length_penalty"])
def test_training_moves_every_policy_and_is_repeated(method: str):
    how = Training(**{**vars(HOW), "method": method})
    one, spent = train(NOISY, how, 3, torch.Generator().manual_seed(0))
    two, again = train(NOISY, how, 3, torch.Generator().manual_seed(0))
    fresh_one = Policies(3, how.hidden, torch.Generator().manual_seed(0))
    assert spent == again > 0
    moved = torch.zeros(3, dtype=torch.bool)
    for a, b, start in zip(one.parameters, two.parameters, fresh_one.parameters):
        assert torch.equal(a, b)
        moved |= (a != start).flatten(1).any(1)
    assert moved.all()


def test_statistics_of_the_hidden_arm_read_what_they_say():
    def result(end: float, slope: float):
        natural = [[end * min(1.0, slope * t / 10) for t in range(11)]] * 8
        forced = [[end * min(1.0, slope * t / 10) + 0.001 * max(0, t - 10) for t in range(31)]] * 8
        return {
            0: {
                "natural": natural,
                "forced": forced,
                "solved": [-0.1] * 8,
                "unsolved": [0.4] * 8,
                "gain": [0.5] * 8,
            }
        }

    names = [f"{world}/{m}" for world, methods in mrt_arm.ARMS.items() for m in methods]
    results = {n: result(0.8, 1.0) for n in names}
    results["slack/mrt"] = result(0.9, 2.0)
    results["slack/length_penalty"] = result(0.6, 4.0)
    found = mrt_arm.statistics(results)
    assert set(found) == {claim.id for claim in mrt_arm.CLAIMS}
    means = {name: float(np.mean(values)) for name, values in found.items()}
    assert means["T3 same end"] == pytest.approx(0.1)
    assert means["T3 penalty hurts large"] == pytest.approx(0.2)
    assert means["T3 regret"] > 0 < means["T3 penalty helps small"]
    assert means["T4 solved"] == pytest.approx(-0.1)
    assert means["T4 unsolved"] == pytest.approx(0.1)
    assert means["T5 growth"] == means["T5 level"] == pytest.approx(0.0)
    assert {c["title"] for c in mrt_arm.curves(results)} == {
        f"hidden arm of {arms}{rest}" for arms in (8, 24) for rest in (", made to go on: success", ": regret")
    }


def test_statistics_of_two_sum_are_paired():
    def result(shift: float):
        return {
            f"{n}@{c}": {"value": shift + 0.001 * c} for n in ("regret", "success") for c in mrt_task.CUTOFFS
        }

    results = {arm: {seed: result(i + seed * i) for seed in range(3)} for i, arm in enumerate(mrt_task.ARMS)}
    results["outcome"][7] = result(5.0)  # no other arm has that seed yet
    found = mrt_task.statistics(results)
    assert set(found) == {claim.id for claim in mrt_task.CLAIMS}
    assert found["T3 same end"].tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert found["T5 growth"].tolist() == pytest.approx([0.0, 0.0, 0.0])
    assert len(mrt_task.curves(results)) == 2


@pytest.mark.parametrize("arm", mrt_task.ARMS)
def test_arms_of_two_sum_are_recipes(arm: str):
    (recipe,) = resolve({**mrt_task.REINFORCED, **mrt_task.ARMS[arm], "model": "sprout"})
    assert recipe.max_completion_length == mrt_task.LENGTH
    assert resolve(mrt_task.WARM)
    assert {cell.name for cell in mrt_task.cells(True)} == set(mrt_task.ARMS)
    assert len(mrt_task.cells(False)) == 3 * len(mrt_task.ARMS)


def test_states_are_taken_by_rollout():
    _, start, _ = rolled(EXACT)
    both = start.take(torch.tensor([1, 1, 4]))
    assert isinstance(both, State)
    assert torch.equal(both.secret, start.secret[:, [1, 1, 4]])
