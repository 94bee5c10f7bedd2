"""The derived table: what one step and the whole run are, from the resolved recipe alone."""

from __future__ import annotations

from rich.table import Table

from hone.core.method import Method
from hone.core.recipe import Recipe

Rows = list[tuple[str, str]]


def step_rows(recipe: Recipe, method: Method) -> Rows:
    """What one step is: problems, rollouts, at most how many tokens, updates, micro-batches."""
    rollouts = rollouts_of(recipe, method)
    each, noun = recipe.problems_per_step, "rollouts" if method.episode.samples else "demonstrations"
    rows = [("problems", f"{each:,}"), (noun, f"{each:,} × {rollouts // each:,} = {rollouts:,}")]
    updates = recipe.num_iterations * recipe.minibatches
    passes = f"{recipe.num_iterations} × {recipe.minibatches} = {updates}" if updates > 1 else "1"
    limit = recipe.max_tokens_per_microbatch
    if method.episode.samples:
        most = rollouts * recipe.max_completion_length
        rows.append(("sampled tokens", f"at most {rollouts:,} × {recipe.max_completion_length:,} = {most:,}"))
        count = -(-most // (recipe.minibatches * limit))
        batches = f"of {limit:,} tokens; with answers at full length {count:,} an update, prompts apart"
    else:
        batches = f"of {limit:,} tokens"
    return [*rows, ("updates", passes), ("micro-batches", batches)]


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
    """Rollouts (or demonstrations) of one step. A demonstration without a mix is a problem's one oracle."""
    one_each = (
        not method.episode.samples and recipe.episode is not None and not recipe.episode.options.get("mix")
    )
    return recipe.problems_per_step * (1 if one_each else recipe.num_generations)


def notes(recipe: Recipe, method: Method) -> list[str]:
    """What a person should know before the first step."""
    out = []
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
    """Both parts as one table."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column()
    for title, rows in (("one step", step_rows(recipe, method)), ("whole run", run_rows(recipe, method))):
        for at, (name, value) in enumerate(rows):
            shown.add_row("" if at else title, name, value)
    return shown
