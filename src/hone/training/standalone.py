"""Evaluate a model on its own: what `hone eval` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hone.catalog import build_method
from hone.core.errors import CheckpointError
from hone.core.problem import Split
from hone.core.recipe import Recipe
from hone.core.sampling import SamplingParams
from hone.core.stages import Episode
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.policies.support import action_space
from hone.tasks import make
from hone.training.data import prepare_evaluation
from hone.training.evaluate import SINGLE_TURN, evaluate
from hone.training.folder import RunFolder
from hone.training.judging import Reward, build_judge
from hone.training.prompts import Room


def evaluate_model(
    model: str | Path,
    task: str | Mapping[str, Any],
    *,
    k: Sequence[int],
    problems: int,
    samples: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float = 0.0,
    max_completion_length: int | None = None,
    stop: Sequence[str] = (),
    seed: int = 0,
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    split: Split = "test",
    reward: Reward = None,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """One line as eval.jsonl holds it.

    A run folder stands for its `final/` model, its own answer length and its own way to attempt a problem.
    """
    name, length = str(model), max_completion_length
    actions: tuple[str, ...] = ()
    episode: Episode = SINGLE_TURN
    if (Path(model) / "recipe.yaml").is_file():
        final = Path(model) / "final"
        if not final.is_dir():
            raise CheckpointError(f"{model} is a run without a `final/` model.", "Finish it with `--resume`.")
        name = str(final)
        stored = Recipe.model_validate(RunFolder(Path(model)).read_recipe())
        length = length or stored.max_completion_length
        actions, episode = stored.actions, build_method(stored).evaluation or episode
    named = {"name": task} if isinstance(task, str) else dict(task)
    options = {key: value for key, value in named.items() if key != "name"}
    policy = load_policy(name, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    sampler, note = choose(policy, engine)
    notes = [note] if note else []

    def shortage(before: int, after: int, detail: str) -> None:
        notes.append(
            f"Memory ran out while sampling {before} rollouts at once, so there were {after}: {detail}"
        )

    sampler.on_shortage = shortage
    space = action_space(policy, actions)
    params = SamplingParams(length or 64, temperature, top_p, top_k, min_p, tuple(stop), space)
    built = make(named["name"], **options)
    built, said = prepare_evaluation(built, split, Room(policy, params.max_tokens), problems)
    notes += said
    result = evaluate(
        policy, sampler, built, build_judge(built, reward), params,
        problems=problems, samples=samples or max(k), ks=k, seed=seed, split=split, episode=episode,
    )  # fmt: skip
    line = {"step": None, "model": str(model), **result.line}
    return line | ({"note": " ".join(notes)} if notes else {})
