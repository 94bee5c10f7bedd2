"""MRT on the same search after a longer warm start, with more updates; thinking is forced on until it closes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hone.core.sampling import SamplingParams
from hone.engines import choose
from hone.episodes import Thinking
from hone.episodes.segmentation import Segmentation
from hone.policies.loading import load_policy
from hone.recipes.load import resolve
from hone.studies import mrt_task
from hone.studies.harness import Cell, Result, Study, device
from hone.studies.mrt_task import ARMS, CLAIMS, CUTOFFS, LENGTH, RETRY, SEEDS, TASK, THINKING
from hone.studies.warm_start import warm_start
from hone.tasks import make
from hone.training.judging import build_judge
from hone.training.progress import Quiet
from hone.training.run import execute
from hone.training.thinking import measure_thinking

WARM: dict[str, Any] = {**mrt_task.WARM, "steps": 150}
REINFORCED: dict[str, Any] = {**mrt_task.REINFORCED, "steps": 60, "learning_rate": 5e-4}


def cells(short: bool) -> list[Cell]:
    """One cell an arm and seed; those that claims compare come first, seed by seed."""
    dials: dict[str, Any] = {"warm": WARM, "train": REINFORCED, "problems": 48, "samples": 2, "extend": 8}
    seeds = SEEDS
    if short:
        seeds, tiny = range(1), {"problems_per_step": 2, "steps": 1}
        dials = {
            "warm": {**WARM, **tiny, "model": "micro:new"}, "train": {**REINFORCED, **tiny},
            "problems": 2, "samples": 1, "extend": 1,
        }  # fmt: skip
    order = sorted((arm == "mrt_rl", seed, arm) for arm in ARMS for seed in seeds)
    return [Cell(arm, seed, {**dials, "arm": ARMS[arm]}) for _, seed, arm in order]


def run(cell: Cell) -> Result:
    """Train from the warm start, then think about held-out problems, within the training budget and three times it."""
    dials: Mapping[str, Any] = cell.settings
    model = str(warm_start({**dials["warm"], "device": device()}))
    recipe = {**dials["train"], **dials["arm"], "model": model, "seed": cell.seed, "device": device()}
    task = make("two_sum", numbers=TASK["numbers"])
    with tempfile.TemporaryDirectory() as out:
        trained, _ = execute(resolve(recipe), Path(out) / "run", Quiet())
        lines = trained.metrics()
        policy = load_policy(str(trained.final), device=device())
        episode = Thinking(
            close="#", force="#", split=Segmentation(THINKING["split"]["separator"]), answer_tokens=6,
            extend=dials["extend"], extend_tokens=LENGTH, words=(RETRY,),
        )  # fmt: skip
        line = measure_thinking(
            policy, choose(policy)[0], task, build_judge(task, None), SamplingParams(LENGTH), episode,
            problems=dials["problems"], samples=dials["samples"], cutoffs=CUTOFFS,
        )  # fmt: skip
    rates = [x["pass_rate"] for x in lines]
    return {**line, "training_tokens": lines[-1]["sampled_tokens"], "pass_rates": rates}


STUDY = Study(
    id="mrt_task_long",
    method="mrt",
    title="Two-sum, after a longer warm start: success within a budget of tokens",
    scale="sprout",
    budget=(
        "sprout (0.6 million parameters), one warm start of 150 supervised steps for all; 60 updates of 8 problems x 8 "
        "traces of at most 64 tokens (mrt_rl: 16 rollouts, 8 of which answer at once); the forced answers of mrt come "
        "on top; 3 seeds; measured on 48 problems x 2 traces x 8 answers a place"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=mrt_task.statistics,
    sources=(__file__, str(Path(mrt_task.__file__))),
    curves=mrt_task.curves,
)
