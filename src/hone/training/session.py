"""A session: the live objects of one run, built from its recipe or from its newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hone.catalog import build_method
from hone.compute import Ledger
from hone.core.errors import CheckpointError, RecipeError
from hone.core.method import Method
from hone.core.noise import NoiseKey
from hone.core.problem import Task
from hone.core.recipe import Recipe
from hone.core.sampling import Engine, SamplingParams
from hone.core.stages import Judge, State
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.policies.token_policy import TokenPolicy
from hone.rewards import CallableJudge, CallableReward, TaskJudge
from hone.tasks import make, verifiers
from hone.training import checkpoint
from hone.training.context import PolicyRole, StepContext
from hone.training.data import Data, prepare
from hone.training.folder import RunFolder
from hone.training.optimizer import learning_rate, make_optimizer
from hone.training.progress import Progress
from hone.training.update import UpdateSettings


@dataclass
class Session:
    """Everything a run holds in memory. `step` counts finished steps."""

    recipe: Recipe
    method: Method
    task: Task
    eval_task: Task
    judge: Judge
    eval_judge: Judge
    policy: TokenPolicy
    reference: TokenPolicy | None
    engine: Engine
    optimizer: torch.optim.Optimizer
    folder: RunFolder
    progress: Progress
    curriculum_state: State
    data: Data
    ledger: Ledger = field(default_factory=Ledger)
    step: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    before: float = 0.0  # seconds that the run took before this process
    started: float = field(default_factory=time.perf_counter)

    @property
    def params(self) -> SamplingParams:
        """How training rollouts are sampled."""
        r = self.recipe
        return SamplingParams(r.max_completion_length, r.temperature, stop=r.stop)

    @property
    def update_settings(self) -> UpdateSettings:
        """What an update reads of the recipe."""
        r = self.recipe
        return UpdateSettings(
            r.temperature, r.num_iterations, r.minibatches, r.max_tokens_per_microbatch, r.max_grad_norm
        )

    @property
    def several_updates(self) -> bool:
        """Whether a batch is used for more than one optimizer step."""
        return self.recipe.num_iterations * self.recipe.minibatches > 1

    @property
    def done(self) -> bool:
        """Whether the steps, or the budget of sampled tokens, are used up."""
        budget = self.recipe.max_sampled_tokens
        return self.step >= self.recipe.steps or (budget is not None and self.ledger.sampled_tokens >= budget)

    @property
    def elapsed(self) -> float:
        """Seconds the run has taken, resumed parts included; re-done work counts twice."""
        return self.before + time.perf_counter() - self.started

    def rate(self, update: int) -> float:
        """Learning rate of the n-th update of the run."""
        r = self.recipe
        total = r.schedule_steps or r.steps * r.num_iterations * r.minibatches
        return learning_rate(update, total, r.learning_rate, r.schedule, r.warmup_steps)

    def context(self, step: int) -> StepContext:
        """The context of training step `step`."""
        r = self.recipe
        role = PolicyRole(self.policy, self.engine, r.temperature, r.max_tokens_per_microbatch)
        roles = {"policy": role}
        if self.reference is not None:
            roles["reference"] = PolicyRole(self.reference, None, r.temperature, r.max_tokens_per_microbatch)
        return StepContext(self.task, self.judge, self.params, NoiseKey(r.seed, "train", step), roles)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of a block to the step's seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def save_checkpoint(self, finished: bool = False) -> Path:
        """Write a checkpoint of this moment."""
        state = checkpoint.TrainerState(
            step=self.step,
            version=self.policy.version,
            ledger=self.ledger.state(),
            curriculum=self.curriculum_state,
            lengths=self.folder.lengths(),
            digest=identity(self.recipe),
            seconds=self.elapsed,
            finished=finished,
        )
        keep = self.recipe.checkpoint.keep_last
        return checkpoint.save(self.folder.checkpoints, self.policy, self.optimizer, state, keep)


# Keys that may change between a run and its resumption: they decide when it ends and what is written beside it.
RESUMABLE = (
    "steps",
    "max_sampled_tokens",
    "eval",
    "checkpoint",
    "max_error_share",
    "device",
    "trust_remote_code",
)


def identity(recipe: Recipe) -> str:
    """A digest of every key that decides what a step computes."""
    return recipe.model_copy(update={k: Recipe.model_fields[k].get_default() for k in RESUMABLE}).digest()


def open_session(recipe: Recipe, folder: RunFolder, progress: Progress, resume: bool = False) -> Session:
    """Build a run's objects. With `resume`, from the newest checkpoint of `folder`, whose files are cut back to it.

    Raises the error of whatever cannot be built, and CheckpointError if the folder belongs to another recipe.
    """
    method = build_method(recipe)
    task = make(recipe.task.name, **recipe.task.options)
    other = recipe.eval.task
    eval_task = task if other is None else make(other.name, **other.options)
    at: tuple[Path, checkpoint.TrainerState] | None = None
    if resume:
        path, state, passed = checkpoint.newest(folder.checkpoints)
        if state.digest != identity(recipe):
            raise CheckpointError(
                f"{path} belongs to another recipe: {_difference(folder, recipe)}.",
                "Give the run's own recipe, or start a new run with another `--out`.",
            )
        for text in passed:
            progress.note(text)
        at = path, state
    loading: dict[str, Any] = {
        k: getattr(recipe, k) for k in ("device", "dtype", "seed", "trust_remote_code")
    }
    policy = load_policy(str(at[0]) if at else recipe.model, **loading)
    if "values" in method.needs and policy.value_head is None:
        policy.add_value_head()
    if policy.note:
        progress.note(policy.note)
    reference = None
    if "reference_logprobs" in method.needs:
        reference = load_policy(recipe.model, **loading)
    engine, note = choose(policy, recipe.engine)
    if note:
        progress.note(note)
    optimizer = make_optimizer(policy.parameters(), recipe.weight_decay, recipe.betas)
    data = prepare(recipe, method, task, eval_task, policy, at[1].step if at else 0)
    task, eval_task = data.task, data.eval_task
    for text in data.notes:
        progress.note(text)
    recipe, note = _fit_evaluation(recipe, eval_task)
    if note:
        progress.note(note)
    session = Session(
        recipe, method, task, eval_task, build_judge(task, recipe.reward), build_judge(eval_task, recipe.reward),
        policy, reference, engine, optimizer, folder, progress,
        curriculum_state=method.curriculum.init(task, recipe.seed), data=data,
    )  # fmt: skip
    if at:
        _restore(session, *at)
    return session


def _fit_evaluation(recipe: Recipe, task: Task) -> tuple[Recipe, str]:
    """The recipe with `eval.problems` lowered to what the held-out split has, and a sentence that says so.

    Raises RecipeError if the split is empty.
    """
    size = task.size("test")
    if size is None or size >= recipe.eval.problems:
        return recipe, ""
    if size == 0:
        raise RecipeError(
            f"`{task.name}` has no held-out problems.", "Give it more problems, or a test file."
        )
    settings = recipe.eval.model_copy(update={"problems": size})
    words = f"the held-out split of {task.name} has {size} problems, so `eval.problems` is {size}"
    return recipe.model_copy(update={"eval": settings}), words


def build_judge(task: Task, reward: str | None) -> Judge:
    """Who judges: the task itself, a verifier by name, or a function as `module.py:function`."""
    if reward is None:
        return TaskJudge(task)
    if reward.partition(":")[0] in verifiers.VERIFIERS:
        return TaskJudge(verifiers.make_verifier(reward))
    if ".py:" in reward:
        return CallableJudge(CallableReward(reward), task)
    raise RecipeError(
        f"`reward: {reward}` is neither a verifier nor a function.",
        f"Name one of {', '.join(verifiers.VERIFIERS)}, or write `path/to/module.py:function`.",
    )


def _restore(session: Session, path: Path, state: checkpoint.TrainerState) -> None:
    """Bring a freshly built session to the moment of a checkpoint."""
    checkpoint.load_optimizer(path, session.optimizer)
    session.step = state.step
    session.before = state.seconds
    session.policy.version = state.version
    session.ledger = Ledger.from_state(dict(state.ledger))
    session.curriculum_state = state.curriculum
    for text in session.folder.cut(state.lengths):
        session.progress.note(text)


def _difference(folder: RunFolder, recipe: Recipe) -> str:
    """Which keys differ from the run's own recipe."""
    theirs: Mapping[str, Any] = folder.read_recipe()
    ours = recipe.dump()
    keys = [k for k in ours if k not in RESUMABLE and ours[k] != theirs.get(k)]
    return ", ".join(f"`{k}` was {theirs.get(k)!r}, now {ours[k]!r}" for k in keys) or "its keys differ"
