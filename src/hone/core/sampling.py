"""What is asked of an engine and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from hone.core.errors import RecipeError
from hone.core.noise import NoiseKey
from hone.core.trajectory import Tokens


@dataclass(frozen=True)
class SamplingParams:
    """How to sample. `temperature` 0 is greedy. `top_p`, `top_k`, `min_p` truncate the support (evaluation only).

    All sampled tokens are returned, the end token included; `stop` strings end a completion at the token that
    completes them. `max_tokens` counts sampled tokens. `support` are the only tokens to choose from (an action space),
    before any truncation; empty, it is the whole vocabulary.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    support: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        checks = [
            ("max_tokens", self.max_tokens >= 1, "at least 1"),
            ("temperature", 0.0 <= self.temperature < float("inf"), "0 (greedy) or a positive finite number"),
            ("top_p", 0.0 < self.top_p <= 1.0, "in (0, 1]"),
            ("top_k", self.top_k >= 0, "0 (off) or a positive count"),
            ("min_p", 0.0 <= self.min_p < 1.0, "in [0, 1)"),
            ("support", len(set(self.support)) == len(self.support), "different tokens"),
        ]
        for name, good, rule in checks:
            if not good:
                raise RecipeError(f"`{name}` is {getattr(self, name)!r}.", f"It must be {rule}.")

    @property
    def truncates(self) -> bool:
        """Whether some tokens of the vocabulary are excluded, so that logprobs are of a smaller support."""
        return self.top_p < 1.0 or self.top_k > 0 or self.min_p > 0.0 or bool(self.support)


@dataclass(frozen=True)
class Completion:
    """One sampled continuation: `tokens[L]`, the `logprobs[L]` they were drawn with, and why it ended."""

    tokens: Tokens
    logprobs: npt.NDArray[np.float32]
    finish_reason: Literal["stop", "length"]
    version: int


@dataclass(frozen=True)
class SampleRequest:
    """`n` continuations of one prefix. Rollout j draws its noise from `noise.child(j)`."""

    prefix: Tokens
    n: int
    params: SamplingParams
    noise: NoiseKey


class SampledPolicy(Protocol):
    """What an engine reads of a policy. Weights are read in place, or copied at `refresh` into the autocast dtype.

    `version` grows by one whenever the weights change; an engine that was not refreshed since refuses to sample.
    """

    @property
    def model(self) -> Any:
        """A Hugging Face causal language model (a torch module)."""
        ...

    @property
    def tokenizer(self) -> Any:
        """Its Hugging Face tokenizer."""
        ...

    @property
    def version(self) -> int:
        """How often the weights have changed."""
        ...

    @property
    def device(self) -> Any:
        """The torch device of the weights."""
        ...

    @property
    def autocast(self) -> Any:
        """The torch dtype of forward passes where it differs from the weights'; None if it does not."""
        ...


class Engine(Protocol):
    """Samples from a policy. `sample` calls of one barrier are served together in (noise path) order.

    A caller announces with `expect(live)` how many episodes will ask before each barrier, and an episode that ends
    calls `leave()`; when every live episode waits, the engine runs. Prefix caches live until `refresh`.

    Where memory runs out, the engine halves `max_slots`, tells `on_shortage` (slots before, slots after, what the
    allocator said) and serves the barrier again from its start, with the same samples. Raises EngineError at one slot.
    """

    name: str
    max_slots: int | None  # rollouts sampled at once, at most; None: the engine's own choice
    on_shortage: Callable[[int, int, str], None]

    def expect(self, live: int) -> None:
        """Open a schedule with `live` concurrent episodes."""
        ...

    def join(self, count: int) -> None:
        """`count` more take part in the open schedule: an episode that goes on in several branches."""
        ...

    def leave(self) -> None:
        """One episode, or one branch, has ended."""
        ...

    async def sample(self, request: SampleRequest) -> list[Completion]:
        """`request.n` completions, in rollout order."""
        ...

    @property
    def schedule(self) -> Any:
        """Who takes part in its barriers; engines that the same episodes ask share one."""
        ...

    def share(self, schedule: Any) -> None:
        """Take part in the schedule of another engine, whose episodes ask this one as well."""
        ...

    async def quiet(self) -> None:
        """Return once the engine is not running, so that others may use its model."""
        ...

    def refresh(self) -> None:
        """Take the policy's present weights; drop every cached prefix."""
        ...
