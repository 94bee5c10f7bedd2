"""The context of a step: the one door through which stages reach models, noise, tokenizer and task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch

from hone.compute.ledger import Ledger
from hone.core.errors import RecipeError, nearest
from hone.core.noise import NoiseKey
from hone.core.problem import Problem, Prompt, Task
from hone.core.sampling import Engine, SampleRequest, SamplingParams
from hone.core.stages import Judge, Mode, Sampled
from hone.core.trajectory import Segment, Tokens, Trajectory
from hone.policies.support import action_space
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.scoring import score

T = TypeVar("T")


@dataclass(frozen=True)
class PolicyRole:
    """A policy behind the role contract: sampled through an engine, scored by the trainer's forward pass."""

    policy: TokenPolicy
    engine: Engine | None
    temperature: float
    budget: TokenBudget
    ledger: Ledger

    async def sample(self, prefix: Segment, n: int, params: SamplingParams, noise: NoiseKey) -> list[Sampled]:
        """`n` continuations below `prefix`."""
        if self.engine is None:
            raise RecipeError(
                "This role has no engine, so it cannot sample.", "Give it one, or only score with it."
            )
        tokens = _concatenate(prefix)
        completions = await self.engine.sample(SampleRequest(tokens, n, params, noise))
        return [
            Sampled(Segment(c.tokens, "action", prefix, c.logprobs, version=c.version), c.finish_reason)
            for c in completions
        ]

    async def fork(
        self, leaf: Segment, count: int, mode: Mode, params: SamplingParams, noise: NoiseKey, text: str = ""
    ) -> list[Sampled]:
        """`count` branches below `leaf`; modes other than `continue` say `text` first."""
        if (mode == "continue") == bool(text):
            raise ValueError(f"a branch in mode {mode} {'says nothing' if text else 'says a text'} first")
        start = leaf if mode == "continue" else observe(self.policy, leaf, text)
        return await self.sample(start, count, params, noise)

    async def score(self, trajectories: Sequence[Trajectory]) -> torch.Tensor:
        """Logprobs `[T]` of the action tokens, without gradient."""
        if self.engine is not None:
            await self.engine.quiet()  # a forward pass sets up the model that the engine reads
        return score(self.policy, trajectories, self.temperature, self.budget, self.ledger).logprobs

    async def act(self, prompts: Sequence[Segment], actions: Sequence[str]) -> torch.Tensor:
        """Logprobs `[P, A]` of `actions` after each of `prompts`, without gradient.

        Raises RecipeError for actions that are not one token each under this model's tokenizer.
        """
        space = action_space(self.policy, actions)
        if not space:
            raise RecipeError("There are no actions to choose from.", "List them in `actions`.")
        if self.engine is not None:
            await self.engine.quiet()
        before, self.policy.support = self.policy.support, space
        try:
            decisions = [_decision(prompt, space[0]) for prompt in prompts]
            found = score(self.policy, decisions, self.temperature, self.budget, self.ledger).action_logprobs
        finally:
            self.policy.support = before
        assert found is not None  # the policy had an action space
        return found

    def encode(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt under this model's tokenizer."""
        return self.policy.encode(prompt)

    def decode(self, tokens: Tokens) -> str:
        """Text of an answer under this model's tokenizer, without its end token."""
        return self.policy.decode(tokens)


def observe(policy: TokenPolicy, leaf: Segment, text: str) -> Segment:
    """An observation segment below `leaf`."""
    return Segment(policy.encode_text(text), "observation", leaf)


def _decision(prompt: Segment, token: int) -> Trajectory:
    """A trajectory of one action, whichever it is."""
    import numpy as np

    leaf = Segment(np.array([token], np.int32), "action", prompt, np.zeros(1, np.float32))
    return Trajectory(Problem("", None, ""), leaf, "", "stop", {"group": 0, "rollout": 0})


def _concatenate(leaf: Segment) -> Tokens:
    import numpy as np

    path = leaf.path()
    return path[0].tokens if len(path) == 1 else np.concatenate([s.tokens for s in path])


@dataclass(frozen=True)
class StepContext:
    """What the stages of one step (or one evaluation) may use."""

    task: Task
    judge: Judge
    params: SamplingParams
    noise: NoiseKey
    roles: Mapping[str, PolicyRole]

    def role(self, name: str) -> PolicyRole:
        """The model that plays `name`. Raises RecipeError for a role that the recipe does not fill."""
        if name not in self.roles:
            raise RecipeError(f"No model plays the role `{name}`.", nearest(name, sorted(self.roles)))
        return self.roles[name]

    def encode(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt under the policy's tokenizer."""
        return self.role("policy").policy.encode(prompt)

    def observe(self, leaf: Segment, text: str) -> Segment:
        """An observation segment below `leaf`, under the policy's tokenizer."""
        return observe(self.role("policy").policy, leaf, text)

    async def together(self, parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Run parts of an episode side by side. The episode's place in the schedule passes to them and back.

        Outside of an episode (a reward that asks models) the parts open a schedule of their own.
        """
        engine = self.role("policy").engine
        left = len(parts)
        inside = engine is not None and engine.schedule.live > 0

        async def one(part: Coroutine[Any, Any, T]) -> T:
            nonlocal left
            try:
                return await part
            finally:
                left -= 1
                if engine is not None and (left or not inside):
                    engine.leave()  # inside, the last one's place is the episode's own

        if engine is not None and parts:
            engine.join(len(parts) - 1) if inside else engine.expect(len(parts))
        found = await asyncio.gather(*(one(part) for part in parts), return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return cast("list[T]", found)

    def encode_answer(self, text: str) -> Tokens:
        """Tokens of an answer, end token included."""
        return self.role("policy").policy.encode_answer(text)

    def decode(self, tokens: Tokens) -> str:
        """Text of an answer, without end token and stop strings."""
        return self.role("policy").policy.decode(tokens, self.params.stop)
