"""POPE, exactly: prefixes carry no loss, and versions have baselines of their own."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from builders import CharTokenizer, tiny_model
from hone.catalog import build_method
from hone.compute import Ledger
from hone.core.batch import Batch, collect
from hone.core.errors import RecipeError
from hone.core.problem import Problem
from hone.core.trajectory import Segment, Trajectory
from hone.curricula.guided import GUIDED, UNGUIDED, request
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.studies.pope_lock import ascent, probabilities
from hone.training.budget import TokenBudget
from hone.training.stages import assign
from hone.training.update import UpdateSettings, update

PROBLEM = Problem("abcde", "fghij", "letters", oracle="fghij")
REWARDS = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]
ANSWERS = ["fgg", "ha", "k", "hij", "hi", "c"]


def method(**keys):
    return build_method(resolve({"task": "maze", "model": "micro:new", "method": "pope", **keys})[0])


def guided_batch(policy: TokenPolicy, rewards: list[float]) -> Batch:
    """A group of the plain problem and one that is shown `fg` of its solution."""
    trajectories = []
    for group, prefix in enumerate((None, "fg")):
        asked = request(PROBLEM, 3, group, prefix, "auto")
        prompt = Segment(policy.encode(asked.shown), "prompt")
        for i in range(3):
            tokens = policy.encode_text(ANSWERS[3 * group + i])
            leaf = Segment(tokens, "action", prompt, np.zeros(len(tokens), np.float32))
            labels = {"group": group, "rollout": i, "variant": asked.variant}
            text = asked.prefix_text + ANSWERS[3 * group + i]
            trajectories.append(Trajectory(PROBLEM, leaf, text, "stop", labels))
    batch = collect(trajectories)
    return dataclasses.replace(batch, rewards=torch.tensor(rewards, dtype=torch.float64))


def slow_gradient(policy: TokenPolicy, advantages: list[float], learnt_from: int) -> torch.Tensor:
    """Of −Σ A log π / (6 · 64), row by row; the last `learnt_from` prompt tokens count as actions too."""
    policy.model.zero_grad()
    loss = torch.zeros(())
    for i, (answer, advantage) in enumerate(zip(ANSWERS, advantages)):
        prompt = "abcde" + ("fg" if i >= 3 else "")
        row = torch.tensor(policy.encode_text(prompt + answer).astype(np.int64))[None]
        logprobs = torch.log_softmax(policy.model(input_ids=row).logits[0, :-1], -1)
        chosen = logprobs.gather(1, row[0, 1:, None])[:, 0]
        first = len(prompt) - 1 - (learnt_from if i >= 3 else 0)
        loss = loss - advantage * chosen[first:].sum() / (6 * 64)
    loss.backward()
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


def test_no_gradient_is_that_of_predicting_a_prefix():
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    chosen = method(credit="rloo")
    batch = guided_batch(policy, REWARDS)
    # Not centred: what all rollouts of a group share would cancel.
    advantages = [1.0, -0.5, -0.5, -1.0, 0.5, 2.0]
    batch = dataclasses.replace(batch, advantages=torch.tensor(advantages)[batch.rollout_of])
    assert batch.lengths.tolist() == [len(a) for a in ANSWERS]  # no prefix token has a place to weigh
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    settings = UpdateSettings(1.0, 1, 1, 1e9)
    update(policy, optimizer, lambda _: 0.0, chosen, batch, settings, TokenBudget(10_000), Ledger())
    got = torch.cat([p.grad.flatten().clone() for p in policy.parameters()])
    torch.testing.assert_close(got, slow_gradient(policy, advantages, 0), rtol=1e-4, atol=1e-6)
    assert (
        float((got - slow_gradient(policy, advantages, 2)).abs().max()) > 1e-4
    )  # such a loss would be another


def test_a_prompt_cannot_carry_what_a_loss_would_need():
    with pytest.raises(ValueError, match="no other segment"):
        Segment(np.zeros(2, np.int32), "prompt", None, np.zeros(2, np.float32))


@pytest.mark.parametrize("key", ["prefix_weight", "prefix_loss", "curriculum.prefix_weight"])
def test_a_weight_on_the_prefix_is_refused(key: str):
    with pytest.raises(RecipeError, match="prefix"):
        resolve({"task": "maze", "method": "pope"}, {key: 0.1})


def test_solutions_as_actions_are_refused():
    with pytest.raises(RecipeError, match="carry no loss"):
        resolve({"task": "maze", "method": "pope", "credit": "none", "episode": "demonstration"})


@pytest.mark.parametrize("credit", ["rloo", "grpo", "maxrl", {"name": "pass_at_k", "k": 2}])
def test_versions_have_baselines_of_their_own(credit):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    chosen = method(credit=credit)
    of_plain = set()
    for guided in itertools.product([0.0, 1.0], repeat=3):
        batch = assign(chosen, guided_batch(policy, [1.0, 0.0, 0.0, *guided]))
        plain = batch.advantages[torch.isin(batch.rollout_of, torch.arange(3))]
        of_plain.add(tuple(plain.tolist()))
        alone = chosen.credit(torch.tensor(guided, dtype=torch.float64), torch.zeros(3, dtype=torch.long))
        want = alone.float()[batch.rollout_of[batch.rollout_of >= 3] - 3]
        torch.testing.assert_close(batch.advantages[batch.rollout_of >= 3], want)
    assert len(of_plain) == 1
    assert any(of_plain.pop())


def test_the_problem_is_judged_with_its_prefix():
    asked = request(PROBLEM, 1, 0, "fg", "auto")
    assert (asked.shown, asked.prefix_text, asked.variant) == ("abcdefg", "fg", GUIDED)
    plain = request(PROBLEM, 1, 0, None, "auto")
    assert (plain.shown, plain.prefix_text, plain.variant) == ("abcde", "", UNGUIDED)


def test_the_locks_update_is_the_gradient_of_guided_success():
    """For every combination of a lock of 3 positions and 2 symbols behind a prefix of 1, with advantages of reward."""
    logits = np.random.default_rng(0).normal(size=(1, 1, 3, 2))
    chances = probabilities(logits)
    expected = np.zeros((3, 2))
    for tail in itertools.product(range(2), repeat=2):
        actions = np.array([0, *tail])[None, None, None]
        weight = np.prod([chances[0, 0, at, symbol] for at, symbol in zip((1, 2), tail)])
        reward = np.full((1, 1, 1), float(tail == (0, 0)))
        expected += weight * ascent(actions, chances, reward, np.array([[1]]))[0, 0]
    theta = torch.tensor(logits[0, 0], requires_grad=True)
    torch.log_softmax(theta, -1)[1:, 0].sum().exp().backward()
    np.testing.assert_allclose(expected, theta.grad.numpy(), atol=1e-12)
    assert (expected[0] == 0).all()
