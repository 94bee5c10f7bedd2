"""The context of a step: the one door through which stages reach models, noise, tokenizer and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from hone.compute.ledger import Ledger
from hone.core.errors import RecipeError, nearest
from hone.core.noise import NoiseKey
from hone.core.problem import Prompt, Task
from hone.core.sampling import Engine, SampleRequest, SamplingParams
from hone.core.stages import Judge, Sampled
from hone.core.trajectory import Segment, Tokens, Trajectory
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.scoring import score


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

    async def score(self, trajectories: Sequence[Trajectory]) -> torch.Tensor:
        """Logprobs `[T]` of the action tokens, without gradient."""
        if self.engine is not None:
            await self.engine.quiet()  # a forward pass sets up the model that the engine reads
        return score(self.policy, trajectories, self.temperature, self.budget, self.ledger).logprobs


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

    def encode_answer(self, text: str) -> Tokens:
        """Tokens of an answer, end token included."""
        return self.role("policy").policy.encode_answer(text)

    def decode(self, tokens: Tokens) -> str:
        """Text of an answer, without end token and stop strings."""
        return self.role("policy").policy.decode(tokens, self.params.stop)
