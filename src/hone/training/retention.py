"""Which checkpoints stay on disk: the newest, every so many steps, and the best by a metric of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hone.core.errors import RecipeError, nearest
from hone.core.recipe import CheckpointSettings, EvalSettings, Recipe


@dataclass(frozen=True)
class Best:
    """The best evaluation so far, whose step has a checkpoint. `metric` is as the recipe writes it; `worse` counts the
    evaluations since then.
    """

    metric: str
    value: float
    step: int
    worse: int = 0


def kept(steps: Sequence[int], now: int, settings: CheckpointSettings, best: Best | None) -> set[int]:
    """Those of `steps` that stay once the checkpoint of step `now` is written. It always does."""
    past = sorted(step for step in steps if step <= now)
    stay = {now, *past[-settings.keep_last :]}
    if settings.keep_every:
        stay |= {step for step in past if step and step % settings.keep_every == 0}
    return stay | ({best.step} if best is not None else set())


def better(metric: str, line: Mapping[str, Any], best: Best | None) -> Best | None:
    """The evaluation `line` as the new best, if it is above (with `-metric`: below) all before; else None.

    None as well where the line does not have the metric, because no verdict of it was ok.
    """
    name = metric.removeprefix("-")
    found = line.get(name)
    value = found.get("value") if isinstance(found, Mapping) else found
    if value is None:
        return None
    sign = -1 if metric.startswith("-") else 1
    if best is not None and best.metric == metric and sign * value <= sign * best.value:
        return None
    return Best(metric, float(value), int(line["step"]))


def follow(metric: str, line: Mapping[str, Any], best: Best | None) -> Best | None:
    """The best evaluation once `line` is known, with the count of those that were no better since."""
    found = better(metric, line, best)
    return replace(best, worse=best.worse + 1) if found is None and best is not None else found


def ending(best: Best, step: int) -> tuple[dict[str, Any], str]:
    """The event of a run that its patience ends at `step`, and what is said of it."""
    event = {"step": step, "event": "stopped_early", "best_step": best.step, best.metric: best.value}
    return event, (
        f"stopped early: {best.worse} evaluations in a row were no better than that of step {best.step} "
        f"(`{best.metric}` {best.value:.3g}), whose checkpoint stays; `final/` is the model of step {step}"
    )


def check(recipe: Recipe) -> None:
    """Raise RecipeError if `checkpoint.best` names no metric that every evaluation of the run has."""
    metric, settings = recipe.checkpoint.best, recipe.eval
    if metric is None:
        if recipe.checkpoint.patience:
            raise RecipeError(
                "`checkpoint.patience` waits for a better evaluation, and nothing says which is better.",
                "Set `checkpoint.best`, for example to `pass@1`.",
            )
        return
    known = metrics(settings)
    if metric.removeprefix("-") not in known:
        raise RecipeError(
            f"`checkpoint.best` is `{metric}`, which the evaluations of this run do not have.",
            f"{nearest(metric.removeprefix('-'), known)} A `-` before it takes the lowest.",
        )
    if not settings.every:
        raise RecipeError(
            "`checkpoint.best` chooses among evaluations, and this run is evaluated only before and after.",
            "Set `eval.every`.",
        )


def metrics(settings: EvalSettings) -> list[str]:
    """Metrics of a line of eval.jsonl, also of an evaluation during training with its fewer samples."""
    samples = min(settings.samples, settings.samples_during)
    ks = [k for k in settings.k if k <= samples]
    return [f"{name}@{k}" for name in ("pass", "worst", "maj") for k in ks] + ["length", "truncated"]
