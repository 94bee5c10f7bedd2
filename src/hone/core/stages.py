"""The contracts of the loop's stages. Pieces are frozen dataclasses; their state, if any, is passed in and out."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.noise import NoiseKey
from hone.core.problem import Problem, Prompt, Task, Verdict
from hone.core.sampling import SamplingParams
from hone.core.trajectory import FinishReason, Segment, Tokens, Trajectory

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Couples = Literal["token", "sequence", "group"]
Mode = Literal["continue", "terminate", "guided"]
State = Mapping[str, Any]  # JSON values and tensors only
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """Attempts that a curriculum asks for: `count` rollouts of `problem` under `variant`, for `group`.

    `drawn` are the trajectories that the group has already: the new ones are numbered after them, share their prompt
    and have noise of their own. A variant may be shown another `prompt` than the problem's own (a hint, a part of a
    solution); `prefix_text` is what stands in it before the answer and is judged with it.
    """

    problem: Problem
    count: int
    group: int
    variant: int = 0
    drawn: tuple[Trajectory, ...] = ()
    prompt: Prompt | None = None
    prefix_text: str = ""

    @property
    def shown(self) -> Prompt:
        """The prompt that the attempts answer."""
        return self.problem.prompt if self.prompt is None else self.prompt


@dataclass(frozen=True)
class Sampled:
    """An action segment and why it ended."""

    segment: Segment
    finish_reason: FinishReason


class Role(Protocol):
    """A model as a stage sees it: pinned to the step's weights, charged under a purpose, with noise of its own."""

    async def sample(self, prefix: Segment, n: int, params: SamplingParams, noise: NoiseKey) -> list[Sampled]:
        """`n` continuations of `prefix`, as action segments below it."""
        ...

    async def fork(
        self, leaf: Segment, count: int, mode: Mode, params: SamplingParams, noise: NoiseKey, text: str = ""
    ) -> list[Sampled]:
        """`count` branches that begin below `leaf`, wherever it lies: at a prompt, or inside an answer (see `cut`).

        `continue` goes on as if nothing had happened; `terminate` and `guided` say `text` first (that time is up, or a
        hint), as one observation segment that the branches share and that carries no loss.
        """
        ...

    async def score(self, trajectories: Sequence[Trajectory]) -> Float[torch.Tensor, "tokens"]:
        """Logprobs of the action tokens under this model, at the sampling temperature."""
        ...

    async def act(
        self, prompts: Sequence[Segment], actions: Sequence[str]
    ) -> Float[torch.Tensor, "prompts actions"]:
        """Logprobs of each of `actions`, and of nothing else, after each prompt, at the sampling temperature."""
        ...

    def encode(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt under this model's own tokenizer and chat template."""
        ...

    def decode(self, tokens: Tokens) -> str:
        """The text of this model's answer."""
        ...


class Judge(Protocol):
    """Says what texts are worth, and which answers are the same."""

    @property
    def independent(self) -> bool:
        """Whether a verdict is reached from its problem and text alone, without an engine: it may then be early."""
        ...

    @property
    def aside(self) -> bool:
        """Whether `score` judges many texts side by side and outside of the caller's thread, which only waits."""
        ...

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each text."""
        ...

    def same(self, a: Any, b: Any) -> bool:
        """Whether two parsed answers mean the same."""
        ...

    def key(self, answer: Any) -> str:
        """A string under which equal answers are grouped before `same` is asked."""
        ...


class Context(Protocol):
    """The only door to models, randomness, tokenizer and task."""

    @property
    def task(self) -> Task:
        """Where the problems come from."""
        ...

    @property
    def judge(self) -> Judge:
        """Who says what an answer is worth."""
        ...

    @property
    def params(self) -> SamplingParams:
        """How answers are sampled."""
        ...

    @property
    def noise(self) -> NoiseKey:
        """The key of this step."""
        ...

    def role(self, name: str) -> Role:
        """The model that plays `name`."""
        ...

    def encode(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt, through the chat template where there is one."""
        ...

    def encode_answer(self, text: str) -> Tokens:
        """Tokens of an answer written after a prompt, with the end token."""
        ...

    def observe(self, leaf: Segment, text: str) -> Segment:
        """An observation segment below `leaf`: text that no policy chose, so that it carries no loss."""
        ...

    async def together(self, parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Run parts of one episode side by side; each may ask the engine, and they meet at its barriers.

        Without it an episode has one request waiting at a time. The first error of any part is raised when all have
        ended.
        """
        ...

    def decode(self, tokens: Tokens) -> str:
        """The text of action tokens without end tokens and stop strings."""
        ...


class Curriculum(Protocol):
    """Which problems next, and how many rollouts each."""

    @property
    def needs(self) -> frozenset[str]:
        """What the loop must provide: `verdicts` on the trajectories of `so_far`, `rewards` in `observe`."""
        ...

    def init(self, task: Task, seed: int) -> State:
        """The state before the first step."""
        ...

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """The next requests of `step`, given what it has sampled so far; an empty list ends the step."""
        ...

    def observe(self, state: State, batch: Batch) -> State:
        """Learn from a finished batch."""
        ...

    def report(self, batch: Batch) -> Mapping[str, int]:
        """What it did with a finished batch, for the step's line."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A curriculum that asks the untrained model something before the first step."""

    def ask(self, state: State, task: Task) -> list[Request]:
        """The attempts of the next round, each request with a `group` of its own; none once enough is known."""
        ...

    def hear(self, state: State, task: Task, judge: Judge, rollouts: Sequence[Trajectory]) -> State:
        """The state after a round; every rollout of it has its verdict, and `judge` knows which answers are equal."""
        ...

    def settled(self, state: State) -> list[str]:
        """What a person should know of what was found. Raises RecipeError if nothing can be learnt from it."""
        ...


class Episode(Protocol):
    """How a problem is attempted."""

    @property
    def samples(self) -> bool:
        """Whether it asks an engine."""
        ...

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """`request.count` trajectories, in rollout order."""
        ...


class Reward(Protocol):
    """What is worth how much. Applied in the order of the recipe."""

    @property
    def needs(self) -> frozenset[str]:
        """What the trainer must provide."""
        ...

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with rewards and verdicts added."""
        ...


class Selector(Protocol):
    """Which rollouts are learnt from."""

    def __call__(self, batch: Batch) -> Batch:
        """The batch with `kept` narrowed."""
        ...


class Objective(Protocol):
    """How the policy moves: terms to be minimised, with no mean inside."""

    @property
    def needs(self) -> frozenset[str]:
        """What the trainer must provide."""
        ...

    @property
    def couples(self) -> Couples:
        """What a micro-batch must not split."""
        ...

    @property
    def surrogate(self) -> bool:
        """Whether its update is the gradient of no stated objective."""
        ...

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """A term for each action token."""
        ...

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Which terms clipping has taken hold of."""
        ...

    def formula(self) -> str:
        """The term in plain text, with the options resolved."""
        ...


class SoftObjective(Protocol):
    """An objective that moves the policy to probabilities of its actions; it `needs` `action_logprobs`."""

    def soft(
        self,
        action_logprobs: Float[torch.Tensor, "tokens actions"],
        targets: Float[torch.Tensor, "tokens actions"],
    ) -> Float[torch.Tensor, "tokens"]:
        """A term for each action token, to be minimised; `targets` sum to 1."""
        ...
