"""Compare methods under one budget of sampled tokens: same problems, same noise keys, statistics paired over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from hone.catalog import build_method
from hone.core.errors import CheckpointError, DataError, RecipeError, nearest
from hone.core.recipe import Recipe
from hone.evals import Interval, t_interval
from hone.training.arms import Arm, Workers
from hone.training.disk import write_whole
from hone.training.lock import locked
from hone.training.stopping import listening

Rows = list[dict[str, Any]]


def compare_methods(
    recipes: Mapping[str, Recipe],
    seeds: int,
    out: Path,
    *,
    name: str = "",
    workers: int = 2,
    baseline: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run every method of `recipes` (method -> its resolved recipe) with seeds 0 .. `seeds` - 1; write compare.json.

    The arms alternate (seed 0 of each method, then seed 1, ...), in processes of one thread, `workers` at a time, in
    `out`/arms/<method>/seed<k>; finished ones are reused. Every arm ends when it has sampled the budget:
    `max_sampled_tokens`, or else steps x problems_per_step x num_generations x the base model's mean answer length,
    measured in the one evaluation before training (`out`/baseline.json). Differences are paired over seeds, of every
    two methods or, with `baseline`, of each method against that one. Returns compare.json's content, in which
    `failures` maps an arm that failed to its last lines. Raises RecipeError for methods that cannot be compared,
    CheckpointError if `out` belongs to another comparison or is being written by one, or if no arm finished.
    """
    _check(recipes, seeds, workers, baseline)
    with locked(out), listening(tell):  # an interrupt passes through here, so that no arm is left behind
        return _compare(recipes, seeds, out, name, workers, baseline, tell)


def _compare(
    recipes: Mapping[str, Recipe],
    seeds: int,
    out: Path,
    name: str,
    workers: int,
    baseline: str | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Run what is not finished, and write compare.json."""
    methods = list(recipes)
    arms_at = out / "arms"
    line = measure_base(recipes[methods[0]], out, tell)
    budget = {method: budget_of(recipe, line) for method, recipe in recipes.items()}
    if len(set(budget.values())) > 1:
        raise RecipeError(f"The methods have different budgets: {budget}.", "Set `max_sampled_tokens`.")
    tokens = budget[methods[0]]
    arms = [
        Arm(method, seed, arm_recipe(recipes[method], seed, tokens), arms_at / method / f"seed{seed}")
        for seed in range(seeds)
        for method in methods
    ]
    waiting = [arm for arm in arms if not arm.finished()]
    for arm in waiting:
        arm.folder.parent.mkdir(parents=True, exist_ok=True)
    tell(
        f"{len(arms)} arms of {tokens:,} sampled tokens each, {len(arms) - len(waiting)} of them finished before"
    )
    failures = Workers(workers, tell).run(waiting)
    done = [arm for arm in arms if arm.name not in failures]
    if not done:
        first = next(iter(failures))
        raise CheckpointError(
            f"No arm finished; {first}: {failures[first]}", "Correct what it names, and run again."
        )
    metrics = [metric for metric in line if metric.startswith("pass@")]
    runs = [
        {"method": arm.label, **arm.result(metrics), "folder": str(arm.folder.relative_to(out))}
        for arm in done
    ]
    content = {
        "recipe": name,
        "methods": methods,
        "seeds": list(range(seeds)),
        "budget": {"unit": "sampled_tokens", "value": tokens},
        "metrics": metrics,
        "before": {metric: line[metric] for metric in metrics},
        "baseline": baseline,
        "runs": runs,
        "table": table(runs, methods, metrics),
        "paired": paired(runs, pairs(methods, baseline), metrics),
        "failures": failures,
    }
    write_whole(out / "compare.json", json.dumps(content, indent=2) + "\n")
    return content


def _check(recipes: Mapping[str, Recipe], seeds: int, workers: int, baseline: str | None) -> None:
    """Raise RecipeError for a comparison without meaning."""
    if seeds < 1 or workers < 1 or not recipes:
        raise RecipeError(
            f"{len(recipes)} methods, {seeds} seeds, {workers} workers.", "Each must be at least 1."
        )
    if baseline is not None and baseline not in recipes:
        raise RecipeError(
            f"`--baseline {baseline}` is not among the methods.", nearest(baseline, list(recipes))
        )
    for method, recipe in recipes.items():
        if not build_method(recipe).episode.samples:
            raise RecipeError(
                f"`{method}` samples nothing, so a budget of sampled tokens never ends it.", "Leave it out."
            )
    for a, b in combinations(recipes, 2):
        if recipes[a].dump() | {"method": ""} == recipes[b].dump() | {"method": ""}:
            raise RecipeError(
                f"`{a}` and `{b}` resolve to the same run.",
                "Leave `credit`, `objective` and the other stages out of the recipe, so that the methods set them.",
            )


def measure_base(recipe: Recipe, out: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """The evaluation before training, which is every arm's: from `out`/baseline.json, or measured and stored there.

    Raises CheckpointError if the stored one was made with other settings.
    """
    settings = evaluation_settings(recipe)
    path = out / "baseline.json"
    if path.is_file():
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if stored["settings"] != settings:
            raise CheckpointError(f"{path} was measured with other settings.", "Give another `--out`.")
        line: dict[str, Any] = stored["line"]
        return line
    from hone.training.standalone import evaluate_model

    tell(f"measuring {recipe.model} before training")
    line = evaluate_model(**settings)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"settings": settings, "line": line}, indent=2) + "\n")
    return line


def evaluation_settings(recipe: Recipe) -> dict[str, Any]:
    """`evaluate_model`'s arguments for the evaluation that a run of `recipe` makes, as JSON values."""
    plan = recipe.dump()
    settings = plan["eval"]
    same = (
        "model",
        "trust_remote_code",
        "max_completion_length",
        "stop",
        "engine",
        "device",
        "dtype",
        "reward",
    )
    return {
        **{key: plan[key] for key in same},
        **{key: settings[key] for key in ("k", "problems", "samples")},
        "task": settings["task"] or plan["task"],
        "temperature": plan["temperature"] if settings["temperature"] is None else settings["temperature"],
        "seed": 0,
    }


def budget_of(recipe: Recipe, line: Mapping[str, Any]) -> int:
    """Sampled tokens of an arm. Raises RecipeError if there would be none."""
    if recipe.max_sampled_tokens is not None:
        return recipe.max_sampled_tokens
    rollouts = recipe.steps * recipe.problems_per_step * recipe.num_generations
    if rollouts == 0:
        raise RecipeError(
            "`steps` is 0, so there is no budget to compare under.", "Set `max_sampled_tokens`."
        )
    return math.ceil(rollouts * line["length"])


def arm_recipe(recipe: Recipe, seed: int, tokens: int) -> Recipe:
    """The recipe of one arm: it ends by its budget, not by `steps`, and is evaluated once, at its end.

    A rollout has at least one token, so this many steps always reach the budget.
    """
    steps = math.ceil(tokens / (recipe.problems_per_step * recipe.num_generations))
    evaluation = recipe.eval.model_copy(update={"every": 0, "before": False})
    changed = {"seed": seed, "max_sampled_tokens": tokens, "steps": steps, "eval": evaluation}
    return recipe.model_copy(update=changed)


def pairs(methods: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """Which methods are set against each other."""
    if baseline is None:
        return list(combinations(methods, 2))
    return [(method, baseline) for method in methods if method != baseline]


def table(runs: Rows, labels: Sequence[str], metrics: Sequence[str], key: str = "method") -> Rows:
    """Mean over seeds of every label (a run's `key`) and metric with its t-interval."""
    rows = []
    for label in labels:
        for metric in metrics:
            values = list(_by_seed(runs, label, metric, key).values())
            rows.append({key: label, "metric": metric, **_mean(values)})
    return rows


def paired(runs: Rows, against: Sequence[tuple[str, str]], metrics: Sequence[str]) -> Rows:
    """Mean over seeds of a - b with its t-interval, over the seeds that both finished; `wins` of a."""
    rows = []
    for metric in metrics:
        for a, b in against:
            mine, theirs = _by_seed(runs, a, metric), _by_seed(runs, b, metric)
            gaps = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
            rows.append({"a": a, "b": b, "metric": metric, **_mean(gaps), "wins": sum(g > 0 for g in gaps)})
    return rows


def _by_seed(runs: Rows, label: str, metric: str, key: str = "method") -> dict[int, float]:
    return {r["seed"]: r["final"][metric] for r in runs if r[key] == label and metric in r["final"]}


def _mean(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95% limits; None where there are too few values for them."""
    mean = sum(values) / len(values) if values else None
    try:
        found: Interval | None = t_interval(list(values))
    except DataError:
        found = None
    return {
        "mean": mean,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "n": len(values),
    }
