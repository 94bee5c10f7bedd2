"""The latent-strategy world of RLAD: problems that one of K strategies solves, a generator of abstractions, a solver.

Everything is enumerable, and many independent worlds (seeds) are trained side by side. Shapes: S seeds, P problems, K
strategies, Z kinds of abstraction: the K strategies, and one that tells the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hone.core.packed import segment_mean

Credit = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Dials:
    """What a world and its training are made of; `beta` weighs the KL to the reference solver."""

    problems: int = 12
    strategies: int = 4
    features: int = 8  # what the generator of abstractions sees of a problem
    own_features: int = 3  # how many of them the solver sees when it picks a strategy by itself
    follow: float = 2.0  # logit that an abstraction adds to the strategy it names, at the start
    skill: float = 0.0  # logit of carrying the right strategy out, at the start
    ceiling: float = 0.6  # success of the right strategy, carried out
    luck: float = 0.02  # success otherwise
    warm: float = (
        0.3  # the generator's weights at the start, as a share of those that name the right strategy
    )
    tells: float = 0.0  # logit with which an abstraction tells the answer, where that is allowed
    told: float = 0.95  # success where the abstraction tells the answer
    guess: float = 0.002  # success from an abstraction alone that does not tell it
    tries: int = 16  # of the blind test for a leak
    abstractions: int = 4
    solutions: int = 4
    bare: int = 4
    beta: float = 0.2
    learning_rate: float = 1.0
    steps: int = 300


@dataclass(frozen=True)
class Arm:
    """How one arm trains."""

    credit: Credit
    abstractions: bool = True  # off: every rollout is a bare one, and the generator stays as it is
    generator: bool = True  # off: the abstractions stay those of the warm start
    masked: bool = True
    leak: bool = False  # whether an abstraction can tell the answer
    filtered: bool = False


class World:
    """S worlds with their parameters: the generator's `w`, the solver's `own`, `follow` and `skill`."""

    def __init__(self, dials: Dials, arm: Arm, seeds: list[int]) -> None:
        self.dials, self.arm, self.seeds = dials, arm, len(seeds)
        kinds, size = dials.strategies, (dials.problems, dials.features)
        draws = [np.random.default_rng(seed) for seed in seeds]
        features = np.stack([r.normal(size=size) for r in draws])
        teacher = np.stack([r.normal(size=(dials.features, kinds)) for r in draws])
        self.features = torch.from_numpy(features)
        self.right = torch.from_numpy((features @ teacher).argmax(-1))  # [S, P]
        self.noise = torch.Generator().manual_seed(int(draws[0].integers(1 << 31)))
        self.w = dials.warm * torch.from_numpy(teacher)
        self.own = torch.zeros(self.seeds, dials.own_features, kinds, dtype=torch.float64)
        self.follow = torch.full((self.seeds,), dials.follow, dtype=torch.float64)
        self.skill = torch.full((self.seeds, kinds), dials.skill, dtype=torch.float64)
        self.tells = torch.full(
            (self.seeds,), dials.tells, dtype=torch.float64
        )  # the generator's logit of telling
        self.parameters = [self.w, self.own, self.follow, self.skill, self.tells]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.reference = (
            self.strategy_logprobs().detach(),
            torch.nn.functional.logsigmoid(self.skill).detach(),
        )

    def abstraction_logprobs(self) -> Tensor:
        """log pi_abs(z | x) `[S, P, Z]`."""
        logits = self.features @ self.w
        told = self.tells[:, None, None].expand(-1, logits.shape[1], 1)
        return torch.log_softmax(torch.cat([logits, told if self.arm.leak else told - 1e9], -1), -1)

    def strategy_logprobs(self) -> Tensor:
        """log pi_sol(u | x, z) `[S, P, Z, K]`; the last z, which tells the answer or is empty, names no strategy."""
        own = self.features[..., : self.dials.own_features] @ self.own
        named = torch.eye(self.dials.strategies, dtype=torch.float64)
        named = torch.cat([named, torch.zeros(1, self.dials.strategies, dtype=torch.float64)])
        return torch.log_softmax(own[:, :, None] + self.follow[:, None, None, None] * named, -1)

    def rates(self) -> Tensor:
        """p(x, z) `[S, P, Z + 1]`: with each abstraction, and bare at the end."""
        chosen = self.strategy_logprobs().exp()
        right = torch.nn.functional.one_hot(self.right, self.dials.strategies).to(torch.float64)
        done = right * torch.sigmoid(self.skill)[:, None]
        worth = done * self.dials.ceiling + (1 - done) * self.dials.luck
        rates = (chosen * worth[:, :, None]).sum(-1)
        told = torch.full_like(rates[..., :1], self.dials.told)
        return torch.cat([rates[..., :-1], told, rates[..., -1:]], -1)

    def dependence(self) -> Tensor:
        """I(z; y | x) `[S]` in nats, for z even over the strategies: how much the solver goes by what it is told."""
        chosen = self.strategy_logprobs().exp()[:, :, :-1]

        def entropy(p: Tensor) -> Tensor:
            return -(p * p.clamp(min=1e-300).log()).sum(-1)

        return (entropy(chosen.mean(2)) - entropy(chosen).mean(2)).mean(1).detach()

    def _draw(self, logprobs: Tensor, count: int) -> Tensor:
        """`count` draws from the last axis, which they take the place of."""
        flat = logprobs.detach().exp().reshape(-1, logprobs.shape[-1])
        drawn = torch.multinomial(flat, count, replacement=True, generator=self.noise)
        return drawn.reshape(*logprobs.shape[:-1], count)

    def _coins(self, chances: Tensor) -> Tensor:
        draws = torch.rand(chances.shape, generator=self.noise, dtype=torch.float64)
        return (draws < chances).to(torch.float64)

    def solve(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """One solution for each entry of z `[S, P, R]`, bare where z is Z: rewards, and logprobs of what was done."""
        told = z == self.dials.strategies
        table = self.strategy_logprobs()
        index = z.clamp(max=self.dials.strategies)[..., None].expand(*z.shape, self.dials.strategies)
        logprobs = table.gather(2, index)
        u = self._draw(logprobs, 1)[..., 0]
        skill = self.skill[:, None].expand(-1, z.shape[1], -1).gather(2, u)
        done = self._coins(torch.sigmoid(skill.detach()))
        able = (u == self.right[..., None]) & (done > 0)
        reward = self._coins(torch.where(able, self.dials.ceiling, self.dials.luck).to(torch.float64))
        copied = self._coins(torch.full_like(done, self.dials.told))
        reward = torch.where(told, copied, reward)
        signs = 2 * done - 1
        acted = logprobs.gather(-1, u[..., None])[..., 0] + torch.nn.functional.logsigmoid(signs * skill)
        return reward, torch.where(told, torch.zeros_like(acted), acted)

    def divergence(self) -> Tensor:
        """KL(pi_sol || reference), over strategies and how they are carried out, summed over seeds.

        The mean over problems of an even mixture: bare prompts weigh as the batch has them, the others share the rest.
        """
        d, (before, skilled) = self.dials, self.reference
        after = self.strategy_logprobs()
        kl = (after.exp() * (after - before)).sum(-1)  # [S, P, Z]
        share = d.bare / (d.bare + d.abstractions * d.solutions) if self.arm.abstractions else 1.0
        prompts = share * kl[..., -1] + (1 - share) * kl[..., :-1].mean(-1)
        p, q = torch.sigmoid(self.skill), skilled.exp()
        carried = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        return (prompts.mean(1) + carried.mean(1)).sum()

    def step(self) -> None:
        """One update of every world, from fresh rollouts on all of its problems."""
        d, arm = self.dials, self.arm
        shape = (self.seeds, d.problems)
        groups = torch.arange(self.seeds * d.problems)
        count = d.bare if arm.abstractions else d.bare + d.abstractions * d.solutions
        rewards, acted = self.solve(torch.full((*shape, count), d.strategies + 1))
        advantages = self._credit(rewards, groups)
        if arm.abstractions and arm.masked:
            advantages = torch.zeros_like(advantages)
        gained = [(advantages, acted)]
        if arm.abstractions:
            named = self.abstraction_logprobs()
            z = self._draw(named, d.abstractions)
            rewards, acted = self.solve(z.repeat_interleave(d.solutions, 2))
            gained.append((self._credit(rewards, groups), acted))
            owners = torch.arange(z.numel()).repeat_interleave(d.solutions)
            worth = segment_mean(rewards.flatten(), owners, z.numel()).reshape(z.shape)
            if arm.filtered:
                worth = torch.where(self._leaks(z), torch.zeros_like(worth), worth)
            if arm.generator:
                gained.append((self._credit(worth, groups), named.gather(2, z)))
        rollouts = sum(a.shape[2] for a, _ in gained)
        gain = sum((a * logprob).sum() for a, logprob in gained) / (d.problems * rollouts)
        loss = d.beta * self.divergence() - gain
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, found, strict=True):
                if gradient is not None:
                    parameter -= d.learning_rate * gradient

    def _leaks(self, z: Tensor) -> Tensor:
        """The blind test: whether one of `tries` answers from z alone, without the problem, is right."""
        chance = torch.where(z == self.dials.strategies, self.dials.told, self.dials.guess).to(torch.float64)
        return self._coins(1 - (1 - chance) ** self.dials.tries) > 0

    def _credit(self, rewards: Tensor, groups: Tensor) -> Tensor:
        flat = groups.repeat_interleave(rewards.shape[2])
        return self.arm.credit(rewards.flatten(), flat).reshape(rewards.shape)
