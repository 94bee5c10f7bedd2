"""The loop: the map of the house, on one screen."""

from __future__ import annotations

from dataclasses import replace

from hone.compute.ledger import Ledger
from hone.compute.spending import spent
from hone.core.batch import Batch, collect
from hone.training.abstraction_eval import measure_abstractions
from hone.training.charging import charge_evaluation, charge_step
from hone.training.context import StepContext
from hone.training.evaluate import SINGLE_TURN, evaluate, sample_line, sample_lines
from hone.training.guards.acting import guarded_update
from hone.training.guards.weights import weights_line
from hone.training.metrics import step_metrics
from hone.training.preparing import prepare
from hone.training.sampling import lag, sample, sample_ahead
from hone.training.saving import finish, leaving_a_checkpoint, save_checkpoint
from hone.training.session import Session
from hone.training.stages import assign, judge, provide


def train(session: Session) -> None:
    """Run a session to its end: evaluate, prepare, then sample, judge, credit and update, step after step.

    Raises Interrupted if a signal stops it, with a checkpoint of the last whole step on disk.
    """
    with leaving_a_checkpoint(session):
        between_steps(session)
        prepare(session)
        while not session.done:
            one_step(session)
            between_steps(session)
    finish(session)


def between_steps(s: Session) -> None:
    """What is due now that everything is as a whole step left it: to stop, to evaluate, to write a checkpoint."""
    s.stop.rest()
    if s.owes_evaluation:
        measure(s)
    if s.owes_checkpoint:
        save_checkpoint(s)
    if not s.done:
        s.stop.rest()


def one_step(s: Session) -> None:
    """One step of the recipe, recorded."""
    r, step = s.recipe, s.step + 1
    s.begin(step)
    context = s.context(step)
    with s.timed("step"):
        with s.timed("sample"):
            batch = gather(s, step, context)
            sample_ahead(s, step + 1)
        with s.timed("reward"):
            batch = judge(s.method, batch, context, r.max_error_share, s.stop.run)
        with s.timed("score"):
            batch = provide(s.method, r, batch, s.policy, s.reference, s.budget, s.ledger, s.stop.check)
        with s.timed("train"):
            batch = assign(s.method, batch)
            behind = lag(batch, s.policy.version)
            tally = guarded_update(s, batch)
    s.curriculum_state = s.method.curriculum.observe(s.curriculum_state, batch)
    s.step = step
    line = step_metrics(step, batch, tally, s.ledger, s.rate(max(0, s.ledger.updates - 1)), s.seconds)
    line |= s.method.curriculum.report(batch)
    line |= {**spent(s.costs, s.ledger), **s.guards.line()}
    if s.method.episode.samples:
        line["policy/lag"] = behind
        s.folder.append("samples.jsonl", [sample_line(t, step, "train") for t in batch.trajectories[:1]])
    s.folder.append("metrics.jsonl", [line])
    s.progress.step(line, r.steps)


def gather(s: Session, step: int, context: StepContext) -> Batch:
    """The rollouts of a step as a batch; every answer is charged to the ledger."""
    drawn = sample(s, step, context)
    trajectories, s.curriculum_state = drawn.trajectories, drawn.state
    charge_step(s.ledger, trajectories, s.method.episode.samples)
    return collect(trajectories)


def measure(s: Session) -> None:
    """Evaluate on the held-out split and record it; the samples kept are of the same problems every time."""
    settings = s.recipe.eval
    ends = s.step == 0 or s.may_end
    params = s.params
    if settings.temperature is not None:
        params = replace(params, temperature=settings.temperature)
    with s.timed("eval"):
        result = evaluate(
            s.policy,
            s.engine,
            s.eval_task,
            s.eval_judge,
            params,
            problems=settings.problems,
            samples=settings.samples if ends else min(settings.samples, settings.samples_during),
            ks=settings.k,
            seed=s.recipe.seed,
            budget=s.budget,
            run=s.stop.run,
            episode=s.method.evaluation or SINGLE_TURN,
            roles=s.frozen_roles(Ledger()),
        )
        with_hints = measure_abstractions(s, params) if ends else {}
    charge_evaluation(s.ledger, result.trajectories)
    counts = {"rollouts": s.ledger.rollouts, "sampled_tokens": s.ledger.sampled_tokens}
    weights = weights_line(s.policy, s.engine)
    line = {
        "step": s.step,
        **counts,
        **weights,
        **result.line,
        **with_hints,
        "time/eval": round(s.seconds["eval"], 4),
    }
    s.folder.append("eval.jsonl", [line])
    s.has_evaluated(line)
    s.guards.evaluated(sum(line["rates"]) / len(line["rates"]))
    if ends:
        s.folder.append("samples.jsonl", sample_lines(result, s.step, settings.keep_samples))
    s.progress.evaluation(line)
