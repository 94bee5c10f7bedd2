"""MRT's credit on a thinking that can be enumerated: it telescopes, and its expected update is the gradient it claims.

A policy thinks in up to three episodes and may stop before each. Episodes are a or b; what has been thought decides how
often a forced answer is right.
"""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from hone.rewards import episode_progress, length_penalised, less_termination

A, B, STOP = 0, 1, 2
MOST = 3
TRACES = [
    t
    for n in range(MOST + 1)
    for t in product((A, B), repeat=n)
]  # fmt: skip


def forced(thought: tuple[int, ...]) -> float:
    """J(mu) after what has been thought: the last episode may help or undo what was found."""
    value = 0.2
    for i, episode in enumerate(thought):
        value = min(1.0, value + 0.45) if episode == A else value * (0.6 if i else 1.1)
    return value


def table(theta: Tensor, thought: tuple[int, ...]) -> Tensor:
    """Log-probabilities of a, b and stop: they depend on how many of each have been thought."""
    shift = torch.tensor([0.3 * thought.count(A), -0.2 * len(thought), 0.1], dtype=theta.dtype)
    return torch.log_softmax(theta[len(thought)] + shift, -1)


def choices(trace: tuple[int, ...]) -> list[int]:
    return [*trace, STOP] if len(trace) < MOST else list(trace)


def logprobs(theta: Tensor, trace: tuple[int, ...]) -> Tensor:
    return torch.stack([table(theta, trace[:i])[c] for i, c in enumerate(choices(trace))])


def parameters() -> Tensor:
    return torch.tensor(
        [[0.2, -0.1, 0.4], [0.0, 0.5, -0.3], [-0.4, 0.1, 0.2]], dtype=torch.float64, requires_grad=True
    )


def successes(trace: tuple[int, ...]) -> Tensor:
    return torch.tensor([forced(trace[:i]) for i in range(len(trace) + 1)], dtype=torch.float64)


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_progress_telescopes(trace):
    """T1."""
    gained = episode_progress(successes(trace))
    assert len(gained) == len(trace)
    assert float(gained.sum()) == pytest.approx(forced(trace) - forced(()), abs=1e-12)


def test_credit_of_an_episode_against_enumerated_progress():
    """T1: with the sampler's prefixes, an episode's own progress as its credit ascends the expected progress of the
    next episode after every prefix, weighed by how often the sampler gets there, and nothing else."""
    theta = parameters()
    old = theta.detach().clone()
    expected = torch.zeros((), dtype=torch.float64)
    for trace in TRACES:
        chance = logprobs(old, trace).sum().exp()
        gains = [*episode_progress(successes(trace)).tolist(), 0.0]  # to stop makes no progress
        credit = torch.tensor(gains[: len(choices(trace))], dtype=torch.float64)
        expected = expected + chance * (logprobs(theta, trace) * credit).sum()
    (got,) = torch.autograd.grad(expected, theta)
    stated = torch.zeros((), dtype=torch.float64)
    for prefix in [t for t in TRACES if len(t) < MOST]:
        reached = (
            torch.stack([table(old, prefix[:i])[c] for i, c in enumerate(prefix)]).sum().exp()
            if prefix
            else 1.0
        )
        for episode in (A, B):
            gain = forced((*prefix, episode)) - forced(prefix)
            stated = stated + reached * table(theta, prefix)[episode].exp() * gain
    (wanted,) = torch.autograd.grad(stated, theta)
    assert torch.allclose(got, wanted, rtol=0, atol=1e-12)


def test_the_same_bonus_on_whole_traces_is_another_gradient():
    """Summed over the trace progress telescopes, so that as one number a trace it is the outcome again."""
    theta = parameters()
    whole, own, outcome = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    for trace in TRACES:
        lp = logprobs(theta, trace)
        chance = lp.detach().sum().exp()
        gains = torch.tensor(
            [*episode_progress(successes(trace)).tolist(), 0.0][: len(lp)], dtype=torch.float64
        )
        whole = whole + chance * lp.sum() * gains.sum()
        own = own + chance * (lp * gains).sum()
        outcome = outcome + chance * lp.sum() * forced(trace)
    gradients = [torch.autograd.grad(x, theta, retain_graph=True)[0] for x in (whole, own, outcome)]
    assert torch.allclose(gradients[0], gradients[2], rtol=0, atol=1e-12)
    assert not torch.allclose(gradients[0], gradients[1], rtol=0, atol=1e-3)


def after(theta: Tensor, prefix: tuple[int, ...]) -> Tensor:
    """Expected success of thinking on from a prefix until the policy stops."""
    if len(prefix) == MOST:
        return torch.tensor(forced(prefix), dtype=theta.dtype)
    probs = table(theta, prefix).exp()
    on = sum((probs[e] * after(theta, (*prefix, e)) for e in (A, B)), start=probs[STOP] * forced(prefix))
    return torch.as_tensor(on)


@pytest.mark.parametrize("prefix", [(), (A,), (B, A), (A, A)], ids=str)
def test_terminate_now_baseline(prefix):
    """T4: the expected advantage of thinking on is the success that it gains over stopping; where stopping always
    succeeds it is at most 0."""
    theta = parameters()
    gain = float((after(theta, prefix) - forced(prefix)).detach())
    answer, on = forced(prefix), float(after(theta, prefix).detach())
    expected = 0.0
    for rewards in product((0.0, 1.0), repeat=4):  # two answers at once, then two that think on
        chance = 1.0
        for i, reward in enumerate(rewards):
            rate = answer if i < 2 else on
            chance *= rate if reward else 1 - rate
        values = torch.tensor(rewards, dtype=torch.float64)
        earned = less_termination(
            values, torch.zeros(4, dtype=torch.long), torch.tensor([True, True, False, False])
        )
        expected += chance * float(earned[2:].mean())
    assert expected == pytest.approx(gain, abs=1e-12)


def test_nothing_is_gained_beyond_a_solved_prefix():
    """T4: where stopping always succeeds, the expected advantage of thinking on is at most 0."""
    assert forced((A, A)) == 1.0
    assert float(after(parameters(), (A, A)).detach()) < 1.0


def test_less_termination_keeps_groups_apart():
    rewards = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.5, 0.0])
    groups = torch.tensor([9, 2, 2, 9, 2, 4])
    stopped = torch.tensor([True, True, False, False, True, False])
    got = less_termination(rewards, groups, stopped)
    assert got[:5].tolist() == [0.0, -0.25, 0.75, 0.0, 0.25]
    assert got[5].isnan()  # nothing to compare it with
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    again = less_termination(rewards[order], groups[order], stopped[order])
    assert torch.equal(again.nan_to_num(7.0), got[order].nan_to_num(7.0))


def slow_penalty(rewards, lengths, groups, penalty):
    out = []
    for reward, length, group in zip(rewards, lengths, groups):
        right = [n for r, n, g in zip(rewards, lengths, groups) if g == group and r > 0]
        if reward <= 0:
            out.append(reward)
            continue
        mean = sum(right) / len(right)
        spread = (sum((n - mean) ** 2 for n in right) / len(right)) ** 0.5
        z = (length - mean) / spread if spread else 0.0
        out.append(reward * (1 - penalty / (1 + 2.718281828459045**-z)))
    return out


def test_length_penalty_against_a_slow_one():
    rewards = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    lengths = torch.tensor([5, 9, 1, 7, 4, 4, 4])
    groups = torch.tensor([3, 3, 3, 3, 8, 8, 8])
    got = length_penalised(rewards, lengths, groups, 0.3)
    assert got.tolist() == pytest.approx(
        slow_penalty(rewards.tolist(), lengths.tolist(), groups.tolist(), 0.3)
    )
    assert got[0] > got[3] > got[1] > 0  # shorter is better, and right stays better than wrong
    assert got[4] == got[6] == pytest.approx(0.85)  # equally long
    twice = length_penalised(rewards, 2 * lengths, groups, 0.3)
    assert torch.allclose(twice, got)  # the unit of length does not matter
    assert torch.equal(length_penalised(rewards * 0, lengths, groups, 0.3), rewards * 0)
