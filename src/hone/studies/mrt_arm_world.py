"""Hidden arm: test one arm after another, then say which is the secret one. All seeds of a run are computed together.

Axes: S seeds, B rollouts, A arms, T tests at most, F features of an arm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hone.credit import rloo
from hone.rewards import episode_progress, length_penalised, less_termination

FEATURES = 4


@dataclass(frozen=True)
class World:
    """The secret is drawn from a prior that a problem shows; a test of an arm says yes or no, and lies at rate `noise`.

    The prior is a softmax of `sharpness` times standard normal numbers. Training allows `budget` tests.
    """

    arms: int
    noise: float
    sharpness: float
    budget: int

    @property
    def weight(self) -> float:
        """Log-odds of one answer."""
        noise = max(self.noise, 1e-6)
        return math.log((1 - noise) / noise)

    def problems(self, shape: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Log-priors `[S, P, A]` and secrets `[S, P]`."""
        scores = torch.randn(*shape, self.arms, generator=generator) * self.sharpness
        prior = torch.log_softmax(scores, -1)
        return prior, _draw(prior, generator)


class State(NamedTuple):
    """What is known: `net[S, B, A]` yes less no, `often[S, B, A]` tests, `tests[S, B]` in all."""

    prior: Tensor
    secret: Tensor
    net: Tensor
    often: Tensor
    tests: Tensor

    def take(self, index: Tensor) -> State:
        """The rollouts at `index`."""
        return State(*(x[:, index] for x in self))


class Trace(NamedTuple):
    """Rollouts: `features[S, B, T, A, F]`, `actions[S, B, T]` (A: stop), `live[S, B, T]` whether that was still chosen,
    and `success[S, B, T + 1]`, that of answering before each and after the last."""

    features: Tensor
    actions: Tensor
    live: Tensor
    success: Tensor
    last: State


def fresh(prior: Tensor, secret: Tensor) -> State:
    """Before any test."""
    return State(prior, secret, torch.zeros_like(prior), torch.zeros_like(prior), torch.zeros(secret.shape))


def answer_success(world: World, state: State) -> Tensor:
    """`[S, B]`: J(μ), 1 where the arm that is likeliest given all tests is the secret one; exact."""
    return ((state.prior + world.weight * state.net).argmax(-1) == state.secret).float()


def features(world: World, state: State) -> Tensor:
    """`[S, B, A, F]`: log-prior, net answers and tests of an arm, and the share of the budget that is used."""
    used = (state.tests / world.budget)[..., None].expand_as(state.prior)
    return torch.stack([state.prior / world.sharpness, state.net, state.often, used], -1)


class Policies:
    """S policies of one shape: a layer that all arms share, a score of each arm, and one of stopping."""

    def __init__(self, seeds: int, hidden: int, generator: torch.Generator) -> None:
        def normal(*shape: int, scale: float) -> Tensor:
            return (torch.randn(seeds, *shape, generator=generator) * scale).requires_grad_()

        self.parameters = [
            normal(FEATURES, hidden, scale=FEATURES**-0.5),
            normal(hidden, scale=0.1),
            normal(hidden, scale=0.1 * hidden**-0.5),
            normal(hidden, scale=0.1 * hidden**-0.5),
        ]

    def logits(self, seen: Tensor) -> Tensor:
        """`[S, N, A + 1]` from features `[S, N, A, F]`; the last is to stop."""
        weight, bias, arm, stop = self.parameters
        hidden = torch.relu(torch.einsum("snaf,sfh->snah", seen, weight) + bias[:, None, None])
        scores = torch.einsum("snah,sh->sna", hidden, arm)
        return torch.cat([scores, torch.einsum("snh,sh->sn", hidden.amax(2), stop)[..., None]], -1)


def _draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-9)
    return (logits - torch.log(-torch.log(noise))).argmax(-1)


def tested(world: World, state: State, arm: Tensor, live: Tensor, generator: torch.Generator) -> State:
    """The state after testing `arm[S, B]`, where `live`."""
    lies = torch.rand(arm.shape, generator=generator) < world.noise
    yes = (arm == state.secret) ^ lies
    hit = torch.nn.functional.one_hot(arm, world.arms) * live[..., None]
    net = state.net + hit * torch.where(yes, 1.0, -1.0)[..., None]
    return state._replace(net=net, often=state.often + hit, tests=state.tests + live)


@torch.no_grad()
def roll(
    world: World,
    policies: Policies,
    state: State,
    tests: int,
    generator: torch.Generator,
    forced: bool = False,
) -> Trace:
    """Test until the policy stops or has made `tests` in all. `forced`: stopping cannot be chosen."""
    steps = int(tests - state.tests.min().item())
    live = torch.ones_like(state.tests, dtype=torch.bool)
    seen, actions, alive, success = [], [], [], [answer_success(world, state)]
    for _ in range(steps):
        live = live & (state.tests < tests)
        seen.append(features(world, state))
        logits = policies.logits(seen[-1])
        if forced:
            logits[..., -1] = -torch.inf
        action = _draw(logits, generator)
        alive.append(live)
        actions.append(action)
        live = live & (action < world.arms)
        state = tested(world, state, action.clamp(max=world.arms - 1), live, generator)
        success.append(answer_success(world, state))
    return Trace(
        torch.stack(seen, 2), torch.stack(actions, 2), torch.stack(alive, 2), torch.stack(success, 2), state
    )


@dataclass(frozen=True)
class Training:
    """How policies are trained: `method` is outcome, mrt, mrt_rl or length_penalty."""

    method: str
    updates: int
    problems: int
    group: int
    learning_rate: float
    hidden: int
    alpha: float
    penalty: float


def train(world: World, how: Training, seeds: int, generator: torch.Generator) -> tuple[Policies, float]:
    """S policies, and the tests that training one of them took."""
    policies = Policies(seeds, how.hidden, generator)
    optimizer = torch.optim.Adam(policies.parameters, lr=how.learning_rate)
    spent = 0.0
    for _ in range(how.updates):
        prior, secret = world.problems((seeds, how.problems), generator)
        start = fresh(prior, secret)
        if how.method == "mrt_rl":
            start, used = prefixes(world, policies, start, generator)
            spent += used
        groups = torch.arange(how.problems).repeat_interleave(how.group)
        if how.method == "mrt_rl":
            groups = groups[::2]  # the other half of each group answers at once
        start = start.take(groups)
        trace = roll(world, policies, start, world.budget, generator)
        spent += float((trace.last.tests - start.tests).sum(1).mean())
        _ascend(policies, optimizer, trace, advantages(how, trace, start, groups))
    return policies, spent


def prefixes(
    world: World, policies: Policies, start: State, generator: torch.Generator
) -> tuple[State, float]:
    """A state on the way of one trace of each problem, after any number of its tests but the last, and tests made."""
    trace = roll(world, policies, start, world.budget, generator)
    made = trace.last.tests
    length = (torch.rand(made.shape, generator=generator) * made.clamp(min=1)).floor()
    kept = (trace.live & (trace.actions < world.arms)).float() * (
        torch.arange(world.budget) < length[..., None]
    )
    hits = torch.nn.functional.one_hot(trace.actions.clamp(max=world.arms - 1), world.arms) * kept[..., None]
    # What each test said is the step by which the net answers of its arm changed.
    net = torch.cat([trace.features[..., 1], trace.last.net[:, :, None]], 2)
    said = (net[:, :, 1:] - net[:, :, :-1]) * kept[..., None]
    state = start._replace(net=said.sum(2), often=hits.sum(2), tests=kept.sum(2))
    return state, float(made.sum(1).mean())


def advantages(how: Training, trace: Trace, start: State, groups: Tensor) -> Tensor:
    """`[S, B, T]`: the credit of every choice, by the library's own pieces."""
    seeds, size = start.secret.shape
    units = (groups + torch.arange(seeds)[:, None] * (int(groups.max()) + 1)).reshape(-1)
    reward = trace.success[..., -1].reshape(-1)
    if how.method == "mrt_rl":
        terminated = torch.arange(2 * len(units)) >= len(units)
        both = torch.cat([reward, trace.success[..., 0].reshape(-1)])
        earned = less_termination(both, units.repeat(2), terminated)[: len(units)]
    elif how.method == "length_penalty":
        length = 1 + trace.last.tests.reshape(-1).long()
        earned = rloo(length_penalised(reward, length, units, how.penalty), units)
    else:
        earned = rloo(reward, units)
    credit = earned.reshape(seeds, size, 1).expand_as(trace.actions)
    if how.method == "mrt":
        credit = credit + how.alpha * episode_progress(trace.success)
    return credit


def _ascend(policies: Policies, optimizer: torch.optim.Optimizer, trace: Trace, credit: Tensor) -> None:
    seeds, size, steps = trace.actions.shape
    logits = policies.logits(trace.features.reshape(seeds, size * steps, *trace.features.shape[3:]))
    logprobs = torch.log_softmax(logits, -1).gather(-1, trace.actions.reshape(seeds, -1, 1))[..., 0]
    terms = logprobs * (credit * trace.live).reshape(seeds, -1)
    loss = -(terms.sum() / size)  # parameters of different seeds meet in no term
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
