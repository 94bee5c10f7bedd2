"""Measure a base model for a plan: pass rates on training problems, and what a rollout costs, sampled and trained."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hone.compute.cost import Decoder
from hone.compute.measurement import Measurement
from hone.compute.rollout_cost import cost_of, passes_of
from hone.core.errors import PolicyError, RecipeError
from hone.core.problem import stable_hash
from hone.core.recipe import Recipe
from hone.training.disk import write_whole
from hone.training.evaluate import Evaluation, evaluate
from hone.training.folder import RunFolder
from hone.training.loop import one_step
from hone.training.progress import Progress, Quiet
from hone.training.session import Session, open_session
from hone.training.stages import scoring_reasons

TIMED_STEPS = 2  # of which the last counts: the first one compiles and fills caches


def measure_base(
    recipe: Recipe,
    problems: int = 64,
    samples: int = 16,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    reward: Callable[..., Any] | None = None,
) -> Measurement:
    """Sample `samples` answers to each of `problems` training problems, drawn at random, and time a step of the recipe.

    A task with fewer problems is taken whole. Nothing is kept of the steps but their time. With `cache`, the result is
    written there, and read from there where recipe, problems and samples are the same. `reward` is the callable that
    the recipe's `reward: callable:<name>` stands for. Raises RecipeError for a recipe whose answers are not sampled.
    """
    watcher = progress or Quiet()
    key = {"recipe": recipe.digest(), "problems": problems, "samples": samples}
    if cache is not None and (known := _read(cache, key)) is not None:
        watcher.note(f"the base model was measured before: {cache}")
        return known
    with tempfile.TemporaryDirectory() as folder:
        quiet = recipe.model_copy(update={"one_step_off": False})
        session = open_session(quiet, RunFolder(Path(folder)), watcher, reward=reward)
        if not session.method.episode.samples:
            raise RecipeError(
                f"`method: {recipe.method}` learns from demonstrations: there are no rollouts to plan.",
                "Plan a recipe that samples its answers.",
            )
        watcher.note(f"sampling {samples} answers to each of {problems} training problems")
        found = _sample(session, problems, samples)
        watcher.note(
            f"timing {TIMED_STEPS} steps of {recipe.problems_per_step} × {recipe.num_generations} rollouts"
        )
        seconds, no_signal = _time(session)
        measured = _summarise(session, found, seconds, no_signal)
    if cache is not None:
        write_whole(cache, json.dumps({"key": key, "measurement": measured.as_dict()}, indent=2) + "\n")
    return measured


def _read(cache: Path, key: dict[str, Any]) -> Measurement | None:
    """The measurement that a cache holds for `key`; None if there is none."""
    if not cache.is_file():
        return None
    try:
        stored = json.loads(cache.read_text(encoding="utf-8"))
    except ValueError:
        return None
    same = isinstance(stored, dict) and stored.get("key") == key
    return Measurement.from_dict(stored["measurement"]) if same else None


def _sample(session: Session, problems: int, samples: int) -> Evaluation:
    """Answers to training problems of the untrained model."""
    size = session.task.size("train")
    rng = np.random.default_rng(stable_hash("base", session.recipe.seed))
    if size is None:
        indices = rng.integers(1 << 40, size=problems)
    else:
        indices = rng.permutation(size)[:problems]
    return evaluate(
        session.policy, session.engine, session.task, session.judge, session.params,
        problems=len(indices), samples=samples, ks=(1,), seed=session.recipe.seed, split="train",
        budget=session.budget, indices=[int(i) for i in indices],
    )  # fmt: skip


def _time(session: Session) -> tuple[float, float]:
    """Seconds a rollout of a step as the recipe has it, and the share of its groups that were not trained on."""
    for _ in range(TIMED_STEPS):
        one_step(session)
    before, last = session.folder.read("metrics.jsonl")[-2:]
    return last["time/step"] / (last["rollouts"] - before["rollouts"]), last["groups/no_signal"]


def _summarise(session: Session, found: Evaluation, seconds: float, no_signal: float) -> Measurement:
    """What a plan needs of it all."""
    line, samples = found.line, found.line["samples"]
    groups = [found.trajectories[at : at + samples] for at in range(0, len(found.trajectories), samples)]
    scoring = scoring_reasons(session.method, session.recipe)
    scored = bool(scoring.policy) + bool(scoring.reference)
    try:
        decoder = Decoder.of(session.policy.model.config.get_text_config())
    except PolicyError:
        decoder = None
    cost = cost_of(
        decoder,
        [len(group[0].segments[0].tokens) for group in groups],
        [[t.num_actions for t in group] for group in groups],
        session.recipe.num_iterations,
        passes_of(session.recipe.num_iterations, scored, bool(session.policy.recompute)),
        seconds,
    )
    if "pass@1" not in line:
        raise RecipeError("No answer could be judged.", "Mend the reward; `hone train --dry-run` shows it.")
    return Measurement(
        session.recipe.model, line["task"], samples, tuple(line["rates"]), line["pass@1"], line["truncated"],
        no_signal, session.task.size("train"), cost,
    )  # fmt: skip
