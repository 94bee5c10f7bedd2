"""A session: the live objects of one run, built from its recipe or from its newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from hone.catalog import build_method
from hone.compute import Ledger
from hone.compute.memory import MemoryPlan
from hone.compute.spending import Costs
from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.noise import NoiseKey
from hone.core.problem import Task
from hone.core.recipe import Recipe
from hone.core.sampling import Engine, SamplingParams
from hone.core.stages import Judge, State
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.policies.support import action_space
from hone.policies.token_policy import TokenPolicy
from hone.tasks import make
from hone.training import checkpoint, retention
from hone.training import resume as resuming
from hone.training.ahead import Ahead
from hone.training.budget import Shortage, TokenBudget
from hone.training.charging import costs_of
from hone.training.context import PolicyRole, StepContext
from hone.training.data import Data, prepare
from hone.training.early_judge import EarlyJudge
from hone.training.evaluate import fit_evaluation
from hone.training.folder import RunFolder
from hone.training.frozen import Frozen, load_frozen
from hone.training.guards.self_test import check_reach
from hone.training.guards.watch import Watch, watch
from hone.training.judging import build_judge, notice
from hone.training.optimizer import learning_rate, make_optimizer
from hone.training.planning import adopt, plan_of, settle
from hone.training.planning import notes as plan_notes
from hone.training.progress import Progress
from hone.training.retention import Best, ending, follow
from hone.training.sampling import Drawn, check_verdicts
from hone.training.snapshot import SnapshotEngine
from hone.training.stopping import Stop
from hone.training.update import UpdateSettings


@dataclass(frozen=True)
class Whole:
    """What a step changes before it moves the weights, as it was between two steps; `at` is by time.perf_counter."""

    ledger: Mapping[str, int | float]
    curriculum_state: State
    guards: Mapping[str, Any]  # what they remember
    version: int  # of the weights
    at: float


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
    others: Mapping[str, Frozen]  # the recipe's `models`
    engine: Engine
    optimizer: torch.optim.Optimizer
    folder: RunFolder
    progress: Progress
    curriculum_state: State
    data: Data
    plan: MemoryPlan
    budget: TokenBudget
    guards: Watch
    costs: Costs | None  # of the model's passes; None for an architecture whose costs are not known
    ledger: Ledger = field(default_factory=Ledger)
    step: int = 0
    working_on: int = 0  # the step that is being computed; 0 before the first
    shortages: int = 0  # how often memory ran out
    opening: dict[str, float] = field(default_factory=dict)  # seconds of opening it, told with the first step
    seconds: dict[str, float] = field(default_factory=dict)
    before: float = 0.0  # seconds that the run took before this process
    started: float = field(default_factory=time.perf_counter)
    ahead: Ahead[Drawn] | None = None  # samples the next step, with `one_step_off`
    stop: Stop = field(default_factory=Stop)
    evaluated: int = -1  # the step of the latest evaluation
    best: Best | None = None  # the best evaluation, with `checkpoint.best`
    best_written: Best | None = None  # as of the newest checkpoint
    written: tuple[int, int] = (-1, -1)  # `step` and `evaluated` of the newest checkpoint
    whole: Whole | None = None  # what it was when the present step began

    @property
    def params(self) -> SamplingParams:
        """How training rollouts are sampled."""
        r = self.recipe
        return SamplingParams(
            r.max_completion_length, r.temperature, stop=r.stop, support=self.policy.support
        )

    @property
    def update_settings(self) -> UpdateSettings:
        """What an update reads of the recipe."""
        r = self.recipe
        return UpdateSettings(r.temperature, r.num_iterations, r.minibatches, r.max_grad_norm)

    @property
    def done(self) -> bool:
        """Whether the steps, the budget of sampled tokens, or the patience with worse evaluations are used up."""
        return self._done_after(self.step)

    @property
    def stopped_early(self) -> bool:
        """Whether `checkpoint.patience` evaluations in a row were no better than the best."""
        return self._out_of_patience(0)

    @property
    def may_end(self) -> bool:
        """Whether the evaluation that is due may be the last: steps are done, or it ends the run if it is no better."""
        return self.done or self._out_of_patience(1)

    def _out_of_patience(self, more: int) -> bool:
        """Whether patience is used up by `more` further evaluations that are no better."""
        patience = self.recipe.checkpoint.patience
        return bool(patience) and self.best is not None and self.best.worse + more >= patience

    def _done_after(self, step: int) -> bool:
        budget = self.recipe.max_sampled_tokens
        spent = budget is not None and self.ledger.sampled_tokens >= budget
        return step >= self.recipe.steps or spent or self.stopped_early

    def evaluates_after(self, step: int) -> bool:
        """Whether an evaluation follows `step`, whose rollouts are in the ledger."""
        every = self.recipe.eval.every
        return self._done_after(step) or bool(every and step % every == 0)

    def saves_after(self, step: int) -> bool:
        """Whether a checkpoint follows `step` that is not the last one."""
        every = self.recipe.checkpoint.every
        return bool(every and step and step % every == 0) and not self._done_after(step)

    @property
    def owes_evaluation(self) -> bool:
        """Whether an evaluation of the present weights is due and not made; one may have been given up."""
        if self.evaluated == self.step:
            return False
        return self.recipe.eval.before if self.step == 0 else self.evaluates_after(self.step)

    @property
    def owes_checkpoint(self) -> bool:
        """Whether a checkpoint of this moment is due and not written, that of the end aside."""
        if self.written == (self.step, self.evaluated):
            return False
        return self.saves_after(self.step) or (self.best is not None and self.best.step == self.step)

    def rests_after(self, step: int) -> bool:
        """Whether `step` is followed by something that no rollouts may be under way across."""
        return self.evaluates_after(step) or self.saves_after(step)

    @property
    def elapsed(self) -> float:
        """Seconds the run has taken, resumed parts included; what a stop has lost is in the ledger alone."""
        return self.before + time.perf_counter() - self.started

    def rate(self, update: int) -> float:
        """Learning rate of the n-th update of the run."""
        r = self.recipe
        total = r.schedule_steps or r.steps * r.num_iterations * r.minibatches
        return learning_rate(update, total, r.learning_rate, r.schedule, r.warmup_steps)

    def context(self, step: int) -> StepContext:
        """The context of training step `step`."""
        r = self.recipe
        # Whoever judges while the engine runs ahead must not ask it.
        engine = self.engine if self.ahead is None else None
        roles = {"policy": PolicyRole(self.policy, engine, r.temperature, self.budget, self.ledger)}
        if self.reference is not None:
            roles["reference"] = PolicyRole(self.reference, None, r.temperature, self.budget, self.ledger)
        roles |= self.frozen_roles(self.ledger)
        judge = self.judge
        if judge.independent and any("verdicts" in reward.needs for reward in self.method.rewards):
            judge = EarlyJudge(judge)
        return StepContext(self.task, judge, self.params, NoiseKey(r.seed, "train", step), roles)

    def frozen_roles(self, ledger: Ledger) -> dict[str, PolicyRole]:
        """The recipe's `models` as stages see them; what they compute is charged to `ledger`."""
        return {
            name: PolicyRole(each.policy, each.engine, self.recipe.temperature, self.budget, ledger)
            for name, each in self.others.items()
        }

    def begin(self, step: int) -> None:
        """Step `step` is being computed from here on."""
        self.working_on, self.seconds, self.opening = step, self.opening, {}
        self.whole = Whole(
            self.ledger.state(),
            self.curriculum_state,
            self.guards.past.state(),
            self.policy.version,
            time.perf_counter(),
        )
        self.guards.begin()

    def has_evaluated(self, line: Mapping[str, Any]) -> None:
        """Take note of a line of eval.jsonl: the step of one better than all before has a checkpoint that stays."""
        self.evaluated = self.step
        metric = self.recipe.checkpoint.best
        if metric is not None:
            self.best = follow(metric, line, self.best)
            if self.best is not None and self.stopped_early:
                event, words = ending(self.best, self.step)
                self.record(event)
                self.progress.note(words)
            if metric.removeprefix("-") not in line:
                self.progress.note(
                    f"ALARM: the evaluation of step {self.step} has no `{metric}` to choose the best by"
                )

    def record(self, event: Mapping[str, Any]) -> None:
        """A line of events.jsonl. A dry run has no folder to write into."""
        if self.folder.path.is_dir():
            self.folder.append("events.jsonl", [event])

    def tokens_ran_out(self, found: Shortage, before: int, after: int) -> None:
        """Record a forward or backward pass that memory did not suffice for."""
        self._ran_out(found.where, "max_tokens_per_microbatch", before, after, found.detail)

    def slots_ran_out(self, before: int, after: int, detail: str) -> None:
        """Record a call of the engine that memory did not suffice for."""
        self._ran_out("sampling", "max_slots", before, after, detail)

    def _ran_out(self, where: str, key: str, before: int, after: int, detail: str) -> None:
        """A line of events.jsonl and a note."""
        self.shortages += 1
        event = {"step": self.working_on, "event": "out_of_memory", "where": where}
        event |= {f"{key}_before": before, "after": after, "detail": detail}
        self.record(event)
        self.progress.note(
            f"memory ran out in step {self.working_on} ({where}): `{key}` falls from {before:,} to {after:,} for the "
            "rest of the run, which from here on is not bit-identical to one with enough memory"
        )

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of a block to the step's seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def memory_left(self) -> dict[str, int]:
        """What a resumed run must know of shortages; nothing if there was none."""
        if not self.shortages:
            return {}
        found = {"shortages": self.shortages, "max_tokens_per_microbatch": self.budget.tokens}
        return found | ({} if self.engine.max_slots is None else {"max_slots": self.engine.max_slots})


def open_session(
    recipe: Recipe,
    folder: RunFolder,
    progress: Progress,
    resume: bool = False,
    reward: Callable[..., Any] | None = None,
    stop: Stop | None = None,
) -> Session:
    """Build a run's objects. With `resume`, from the newest checkpoint of `folder`, whose files are cut back to it.

    `reward` is the callable that the recipe's `reward: callable:<name>` stands for; `stop` hears what ends the run.

    Raises the error of whatever cannot be built, and CheckpointError if the folder belongs to another recipe.
    """
    method = build_method(recipe)
    task = make(recipe.task.name, **recipe.task.options)
    other = recipe.eval.task
    eval_task = task if other is None else make(other.name, **other.options)
    retention.check(recipe)
    at: checkpoint.Found | None = None
    if resume:
        recipe = adopt(recipe, folder.read_recipe())
        at = resuming.find(folder, recipe, progress)
    loading: dict[str, Any] = {
        k: getattr(recipe, k) for k in ("device", "dtype", "seed", "trust_remote_code")
    }
    policy = load_policy(str(at.path) if at else recipe.model, **loading)
    if "values" in method.needs and policy.value_head is None:
        policy.add_value_head()
    if policy.note:
        progress.note(policy.note)
    reference = None
    if "reference_logprobs" in method.needs:
        reference = load_policy(recipe.model, **loading)
    engine, note = _open_engine(policy, recipe)
    if note:
        progress.note(note)
    check_reach(policy, engine)
    policy.support = action_space(policy, recipe.actions)
    others = {role: load_frozen(each.model, recipe, engine) for role, each in recipe.models.items()}
    for role, each in others.items():
        if each.note:
            progress.note(f"{role}: {each.note}")
    optimizer = make_optimizer(policy.parameters(), recipe.weight_decay, recipe.betas)
    data = prepare(recipe, method, task, eval_task, policy, at.state.step if at else 0)
    task, eval_task = data.task, data.eval_task
    for text in data.notes:
        progress.note(text)
    recipe, note = fit_evaluation(recipe, eval_task)
    if note:
        progress.note(note)
    judge = build_judge(task, reward or recipe.reward)
    check_verdicts(method, judge)
    if note := notice(judge):
        progress.note(note)
    plan = plan_of(recipe, method, task, policy)
    recipe = settle(recipe, plan)
    for note in plan_notes(plan, recipe, policy.device.type):
        progress.note(note)
    policy.recompute = plan.recompute
    costs = costs_of(policy, plan)
    if costs is None:
        progress.note(f"FLOPs are not counted: what `{policy.model.config.model_type}` costs is not known")
    opening: dict[str, float] = {}
    if recipe.compile:
        opening["compile"] = sum(
            p.compile(_tokens_of_a_pass(recipe)) for p in (policy, reference) if p is not None
        )
        progress.note(f"compiling the model's layers took {opening['compile']:.0f} s")
    session = Session(
        recipe, method, task, eval_task, judge, build_judge(eval_task, reward or recipe.reward), policy, reference,
        others, engine, optimizer, folder, progress,
        curriculum_state=method.curriculum.init(task, recipe.seed), data=data,
        plan=plan, budget=TokenBudget(plan.max_tokens), guards=watch(recipe, policy), costs=costs,
        opening=opening, stop=stop or Stop(),
    )  # fmt: skip
    session.budget.tell = session.tokens_ran_out
    engine.on_shortage = session.slots_ran_out
    if recipe.one_step_off:
        _go_ahead(session)
    if resume:
        resuming.restore(session, at)
    folder.hear = progress.note
    return session


def _open_engine(policy: TokenPolicy, recipe: Recipe) -> tuple[Engine, str]:
    """What samples: from the weights in place, or from a copy if they are trained meanwhile."""
    if not recipe.one_step_off:
        return choose(policy, recipe.engine)
    engine = SnapshotEngine(policy, recipe.engine)
    return engine, engine.note


def _go_ahead(session: Session) -> None:
    """Let the session sample a step ahead, and say what that costs. Raises RecipeError where it cannot."""
    if session.curriculum_state:
        raise RecipeError(
            f"`curriculum: {session.recipe.curriculum and session.recipe.curriculum.name}` learns from each step, but "
            "`one_step_off` draws a step before the one before it is known.",
            "Use a curriculum that keeps no state, such as `uniform`, or leave `one_step_off` out.",
        )
    session.ahead = Ahead()
    session.policy.repeatable = False  # a thread samples during the backward pass
    size = sum(p.numel() * p.element_size() for p in session.policy.model.parameters())
    session.progress.note(
        f"`one_step_off` keeps a second copy of the weights ({size / 1e6:,.0f} MB). Where it rests to evaluate or to "
        "write a checkpoint, the next step is sampled anew, so a resumed run is the uninterrupted one bit for bit only "
        "if both rest at the same steps"
        + (
            ", and on a GPU not in the last bits of its gradients"
            if session.policy.device.type == "cuda"
            else ""
        )
    )


def _tokens_of_a_pass(recipe: Recipe) -> int:
    """About how many tokens a forward pass of training stores."""
    step = recipe.problems_per_step * recipe.num_generations * recipe.max_completion_length
    return min(int(recipe.max_tokens_per_microbatch), step // recipe.minibatches)
