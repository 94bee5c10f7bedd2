"""The derived tables: what one step and the whole run are, from the recipe alone; what memory makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from hone.combinations import inert
from hone.compute.memory import MemoryPlan, count_passes, generations_of
from hone.core.method import Method
from hone.core.recipe import Recipe
from hone.training.stages import scoring_reasons

Rows = list[tuple[str, str]]


def step_rows(recipe: Recipe, method: Method) -> Rows:
    """What one step is: problems, rollouts, at most how many tokens, updates, and what is scored before them."""
    rollouts = rollouts_of(recipe, method)
    each, noun = recipe.problems_per_step, "rollouts" if method.episode.samples else "demonstrations"
    rows = [("problems", f"{each:,}"), (noun, f"{each:,} × {rollouts // each:,} = {rollouts:,}")]
    updates = recipe.num_iterations * recipe.minibatches
    passes = f"{recipe.num_iterations} × {recipe.minibatches} = {updates}" if updates > 1 else "1"
    if method.episode.samples:
        most = rollouts * recipe.max_completion_length
        rows.append(("sampled tokens", f"at most {rollouts:,} × {recipe.max_completion_length:,} = {most:,}"))
    scoring = scoring_reasons(method, recipe).sentences
    return [
        *rows,
        ("updates", passes),
        *(("scoring" if not at else "", text) for at, text in enumerate(scoring)),
    ]


def memory_rows(plan: MemoryPlan) -> Rows:
    """Where the memory goes, as an estimate."""
    rows = [(name, size(value)) for name, value in plan.fixed.items()]
    again = "; layers are run again in the backward pass" if plan.recompute else ""
    words = f"{plan.tokens:,} tokens × {size(plan.per_token)} = {size(plan.activations)}{again}"
    left = plan.left - plan.activations
    rows += [("activations", words), ("left", size(left) if left >= 0 else f"nothing: {size(-left)} too few")]
    return [*rows, (f"whole {plan.machine.device}", size(plan.machine.memory))]


def pass_rows(recipe: Recipe, method: Method, plan: MemoryPlan) -> Rows:
    """How an update is cut, and what a step computes, with answers at full length. `recipe` is the settled one."""
    each = generations_of(recipe, method)
    groups = -(-recipe.problems_per_step // recipe.minibatches)
    coupled = method.couples == "group"
    count = count_passes(groups, each, plan.prompt, plan.answer, plan.max_tokens, coupled)
    stored = recipe.problems_per_step * (plan.prompt + each * plan.answer)
    trained = recipe.num_iterations * stored
    scoring = scoring_reasons(method, recipe)
    scored = (bool(scoring.policy) + bool(scoring.reference)) * stored
    lengths = f"prompts of {plan.prompt:,} tokens, the longest of the first, and answers of {plan.answer:,}"
    rows = [
        ("micro-batches", f"{count:,} an update, each of at most {max(plan.max_tokens, plan.unit):,} tokens"),
        ("trained tokens", f"{trained:,} a step, with {lengths}"),
    ]
    return rows + ([("scored tokens", f"{scored:,} a step, without gradient")] if scored else [])


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def run_rows(recipe: Recipe, method: Method) -> Rows:
    """What the whole run is: steps, rollouts, tokens, evaluation."""
    rollouts = recipe.steps * rollouts_of(recipe, method)
    rows = [("steps", f"{recipe.steps:,}")]
    if method.episode.samples:
        most = rollouts * recipe.max_completion_length
        budget = recipe.max_sampled_tokens
        if budget is not None:
            rows[0] = ("steps", f"at most {recipe.steps:,}; it ends when {budget:,} tokens are sampled")
            most = min(most, budget + rollouts_of(recipe, method) * recipe.max_completion_length)
        rows += [
            ("rollouts", f"{'at most ' if budget else ''}{rollouts:,}"),
            ("sampled tokens", f"at most {most:,}"),
        ]
    else:
        rows.append(("demonstrations", f"{rollouts:,}"))
    settings = recipe.eval
    ends = "before and after" if settings.before else "after"
    words = f"{settings.problems:,} problems × {settings.samples:,} samples {ends}"
    if 0 < settings.every < recipe.steps:
        words += f", × {min(settings.samples, settings.samples_during):,} every {settings.every:,} steps"
    return [*rows, ("evaluation", words)]


def rollouts_of(recipe: Recipe, method: Method) -> int:
    """Rollouts (or demonstrations) of one step."""
    return recipe.problems_per_step * generations_of(recipe, method)


def notes(recipe: Recipe, method: Method) -> list[str]:
    """What a person should know before the first step."""
    out = inert(recipe, method)
    if getattr(method.objective, "surrogate", False):
        out.append(
            f"`{recipe.method}` moves the policy by a surrogate: its update is the gradient of no stated objective."
        )
    if recipe.max_sampled_tokens is not None and recipe.schedule != "constant":
        out.append(
            f"`schedule: {recipe.schedule}` runs over `steps`; one that its tokens end earlier stops midway."
        )
    if recipe.steps and not recipe.checkpoint.every:
        out.append(
            "No checkpoint is written before the end; with `checkpoint.every=10` a stopped run can be resumed."
        )
    return out


def table(recipe: Recipe, method: Method) -> Table:
    """What the recipe alone says, as one table."""
    return _grid({"one step": step_rows(recipe, method), "whole run": run_rows(recipe, method)})


def plan_table(recipe: Recipe, method: Method, plan: MemoryPlan) -> Table:
    """What is known once the model is loaded, as one table."""
    return _grid({"memory": memory_rows(plan), "passes": pass_rows(recipe, method, plan)})


def _grid(parts: Mapping[str, Rows]) -> Table:
    """Titled rows as one table."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column()
    for title, rows in parts.items():
        for at, (name, value) in enumerate(rows):
            shown.add_row("" if at else title, name, value)
    return shown
