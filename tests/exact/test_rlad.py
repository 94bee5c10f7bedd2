"""RLAD by enumeration: masked bare groups, the gradient of hints, and where a budget is best spent."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
import torch

from builders import CharTokenizer, tiny_model
from exact.tabular import ANSWERS, Question, gradient, parameters
from hone.catalog import build_method
from hone.core.batch import collect
from hone.core.forest import pack
from hone.core.parts import Part
from hone.core.problem import Verdict
from hone.core.rewarded import with_verdicts
from hone.core.trajectory import Segment, Trajectory
from hone.evals import allocation_success
from hone.policies.token_policy import Scores, TokenPolicy
from hone.recipes.load import resolve
from hone.rewards import AbstractionReward
from hone.training.losses import components, loss_weights
from hone.training.stages import assign
from two_levels import PROBLEM, batch_of, rewarded

RATES = (
    0.1,
    0.7,
    0.4,
    0.9,
)  # of solutions with each of the four abstractions, by a solver that stays as it is
HINTS = Question((0.0, 0.0, 0.0, 0.0), slope=0.7, offset=0.5)


def method_of(**keys):
    return build_method(resolve({"task": "maze", "method": "rlad", **keys})[0])


def two_levels(hints, outcomes):
    """A batch of hints, as answers of the tabular policy, and one-token solutions with the given outcomes."""
    trajectories, verdicts = [], []
    root = Segment(np.array([0], np.int32), "prompt")
    for item, hint in enumerate(hints):
        tokens = np.array([action for _, action in ANSWERS[hint]], np.int32)
        leaf = Segment(tokens, "action", root, np.zeros(len(tokens), np.float32))
        trajectories.append((leaf, Part.ABSTRACTION, item, "a hint"))
        verdicts.append(Verdict(0.0))
    for item, each in enumerate(outcomes):
        for reward in each:
            leaf = Segment(np.array([1], np.int32), "action", root, np.zeros(1, np.float32))
            trajectories.append((leaf, Part.SOLUTION, item, ""))
            verdicts.append(Verdict(float(reward)))
    made = [
        Trajectory(PROBLEM, leaf, text, "stop", {"group": 0, "rollout": i, "part": int(part), "item": item})
        for i, (leaf, part, item, text) in enumerate(trajectories)
    ]
    return with_verdicts(collect(made), verdicts)


@pytest.mark.parametrize(("count", "each"), [(2, 2)])
def test_hints_ascend_the_pass_rate_of_their_solver(count, each):
    """T2: with RLOO, E[grad] is that of E_z[r(x, z)] with the solver fixed, over every hint and every outcome."""
    theta = parameters()
    method = method_of(
        credit="rloo", kl="none", entropy_coef=0.0, objective="policy_gradient", reduction="sequence_sum",
        episode={"name": "abstraction", "abstractions": count, "bare": 0, "num_generations": count * each},
        num_generations=count * each, max_completion_length=1,
    )  # fmt: skip
    chances = HINTS.answer_probs(theta).tolist()
    found = torch.zeros_like(theta)
    for hints in product(range(4), repeat=count):
        for outcomes in product(product((0, 1), repeat=each), repeat=count):
            chance = prod(
                chances[z] * prod(RATES[z] if right else 1 - RATES[z] for right in mine)
                for z, mine in zip(hints, outcomes)
            )
            batch = assign(method, rewarded(AbstractionReward(), two_levels(hints, outcomes)))
            weights = loss_weights(method, batch)
            logprobs = torch.cat(
                [HINTS.token_logprobs(theta, z) for z in hints] + [torch.zeros(count * each).double()]
            )
            terms = method.objective(logprobs, logprobs.detach(), batch.advantages.double(), batch.rollout_of)
            found -= chance * gradient((weights * terms).sum(), theta)
    share = count / (count + count * each)  # of the rollouts that the mean runs over
    wanted = share * gradient(HINTS.answer_probs(theta) @ torch.tensor(RATES).double(), theta)
    assert torch.allclose(found, wanted, rtol=0, atol=1e-7)  # advantages are float32
    assert wanted.abs().max() > 1e-3


def grads(policy: TokenPolicy, loss: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad(loss, list(policy.parameters()), allow_unused=True, retain_graph=True)
    return torch.cat([g.flatten() for g in found if g is not None])


def test_masked_bare_groups_feel_the_kl_alone():
    """T1: their policy gradient is exactly zero; their KL gradient is zero at the reference, and not a step away."""
    policy, reference = (TokenPolicy(tiny_model(dtype=torch.float64), CharTokenizer()) for _ in range(2))
    rows = [(Part.ABSTRACTION, 0, 0.0, "x"), (Part.ABSTRACTION, 1, 0.0, "y")]
    rows += [(Part.SOLUTION, i // 2, float(i == 0), "") for i in range(4)]
    rows += [(Part.BARE, 2, reward, "") for reward in (1.0, 0.0, 1.0)]
    judged = rewarded(AbstractionReward(), batch_of([rows]))
    method = method_of(kl={"name": "loss", "beta": 0.5, "estimator": "k3"}, num_generations=7,
                       episode={"name": "abstraction", "abstractions": 2, "bare": 3})  # fmt: skip
    unmasked = method_of(kl={"name": "loss", "beta": 0.5, "estimator": "k3"}, num_generations=7,
                         rewards=["verifier", {"name": "abstraction", "mask_bare": False}],
                         episode={"name": "abstraction", "abstractions": 2, "bare": 3})  # fmt: skip

    def parts_of(chosen, method, judged) -> dict[str, torch.Tensor]:
        batch = assign(method, judged)
        batch = replace(batch, weights=loss_weights(method, batch))
        with torch.no_grad():
            batch = replace(batch, reference_logprobs=reference.score(pack(batch.trajectories), 1.0).logprobs)
        batch = batch.select(chosen)
        scores: Scores = policy.score(pack(batch.trajectories), 1.0, entropy=True)
        return components(method, scores, batch)

    bare, others = [6, 7, 8], [0, 1, 2, 3, 4, 5]
    at_start = parts_of(bare, method, judged)
    assert (grads(policy, at_start["policy"]) == 0).all()
    assert grads(policy, at_start["reference_kl"]).abs().max() < 1e-12
    moved = grads(policy, parts_of(others, method, judged)["policy"])
    assert moved.abs().max() > 1e-3
    step = 0
    with torch.no_grad():
        for (
            parameter
        ) in policy.parameters():  # one step of ascent on what abstractions and solutions have earned
            size = parameter.numel()
            parameter -= 0.1 * moved[step : step + size].view_as(parameter)
            step += size
    away = parts_of(bare, method, judged)
    assert (grads(policy, away["policy"]) == 0).all()
    assert grads(policy, away["reference_kl"]).abs().max() > 1e-6
    open_ = rewarded(AbstractionReward(mask_bare=False), batch_of([rows]))
    assert grads(policy, parts_of(bare, unmasked, open_)["policy"]).abs().max() > 1e-3


@pytest.mark.parametrize("budget", [4, 8, 16])
def test_abstractions_come_before_solutions(budget):
    """T3: S(C, 1) >= S(C/2, 2) >= ... >= S(1, C), strictly unless the pass rate is the same for all abstractions."""
    rng = np.random.default_rng(0)
    shares = [1 << i for i in range(budget.bit_length())][::-1]
    for _ in range(50):
        rates, weights = rng.uniform(0.05, 0.95, 5), rng.dirichlet(np.ones(5))
        found = [allocation_success(rates, m, budget // m, weights) for m in shares]
        assert all(a > b for a, b in pairwise(found))
        same = np.full(5, rates[0])
        flat = [allocation_success(same, m, budget // m, weights) for m in shares]
        assert np.ptp(flat) < 1e-12


def test_the_allocation_is_what_enumeration_says():
    """S(2, 2) over every pair of abstractions and every outcome of their solutions."""
    rates, weights = (0.2, 0.5, 0.9), (0.5, 0.3, 0.2)
    slow = 0.0
    for zs in product(range(3), repeat=2):
        for outcomes in product((0, 1), repeat=4):
            chance = prod(weights[z] for z in zs)
            for at, right in enumerate(outcomes):
                p = rates[zs[at // 2]]
                chance *= p if right else 1 - p
            slow += chance * (1 in outcomes)
    assert allocation_success(rates, 2, 2, weights) == pytest.approx(slow, abs=1e-12)
