"""POPE on long mazes alone: what plain sampling leaves at zero because no easier problem is there to learn from.

As `pope_maze`, but only hard mazes whose way is long are trained on, so that plain RL has no short ones among them
whose lone successes would teach it to walk. A first look at seeds 0 to 2 decided nothing; claims and dials stayed as
they were, and are tested on eight fresh seeds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.lab.claims import Claim
from hone.studies import pope_maze
from hone.studies.harness import Cell, Results, Study, device
from hone.studies.pope_maze import RECIPE, SAMPLES, SIZE, solved

ARMS = ("plain", "pope")
LONG = {"candidates": 40, "least": 12, "tokens": 120_000}
SHORT = {"candidates": 12, "least": 6, "tokens": 10_000}
SEEDS = range(3, 11)


def cells(short: bool) -> list[Cell]:
    """Every seed with both arms, which share its mazes."""
    return [Cell("arms", seed, SHORT if short else LONG) for seed in (SEEDS[:1] if short else SEEDS)]


def run(cell: Cell) -> dict[str, Any]:
    """Find the hard mazes of a seed, keep those with a long way, train both arms on them, and attempt them plainly."""
    import hone
    from hone.tasks import make

    maze, sizes = make("maze", sizes=SIZE), cell.settings
    shared: dict[str, Any] = {"seed": cell.seed, "device": device()}
    with tempfile.TemporaryDirectory() as folder:
        looked = {**shared, "curriculum.problems": sizes["candidates"], "steps": 0}
        found = hone.train(RECIPE, out=Path(folder) / "search", **looked)
        every = json.loads((found.path / "prepared.json").read_text(encoding="utf-8"))["prefixes"]
        hard = [e for e in every if e["prefix"] and maze.problem(e["index"]).level >= sizes["least"]]
        prefixes = Path(folder) / "long.json"
        prefixes.write_text(json.dumps({"prefixes": hard}), encoding="utf-8")
        searched = sum(each["searched_tokens"] for each in hard)
        out: dict[str, Any] = {"mazes": len(hard), "searched_tokens": searched}
        for arm in ARMS:
            trained = hone.train(
                RECIPE,
                out=Path(folder) / arm,
                max_sampled_tokens=sizes["tokens"] - (searched if arm == "pope" else 0),
                **shared,
                **{"curriculum.prefixes": str(prefixes), **pope_maze.ARMS[arm]},
            )
            lines = trained.metrics()
            out[arm] = {
                "hard": solved(str(trained.final), "train", [each["index"] for each in hard]),
                "tokens": [line["sampled_tokens"] for line in lines],
                "unguided": np.cumsum([line["pope/unguided_correct"] for line in lines]).tolist(),
                "guided": np.cumsum([line["pope/guided_correct"] for line in lines]).tolist(),
            }
        return out


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Shares of the mazes with a success in SAMPLES unguided samples, and pass rates."""
    seeds = [found for _, found in sorted(results["arms"].items())]
    plain, pope = (np.array([np.mean(np.array(f[arm]["hard"]) > 0) for f in seeds]) for arm in ARMS)
    alone = [np.mean((np.array(f["pope"]["hard"]) > 0) & (np.array(f["plain"]["hard"]) == 0)) for f in seeds]
    rate = [(np.mean(f["pope"]["hard"]) - np.mean(f["plain"]["hard"])) / SAMPLES for f in seeds]
    return {"plain": plain, "solved": pope - plain, "left at zero": np.array(alone), "pass@1": np.array(rate)}


def curves(results: Results) -> list[dict[str, Any]]:
    """Successes of the training groups so far, over sampled tokens, of each seed."""
    series = {}
    for seed, found in sorted(results["arms"].items()):
        for arm in ARMS:
            for version in ("unguided", "guided"):
                y = found[arm][version]
                if arm == "pope" or version == "unguided":
                    series[f"{arm}, {version}, seed {seed}"] = {
                        "x": found[arm]["tokens"],
                        "y": y,
                        "low": y,
                        "high": y,
                    }
    return [
        {"title": "Long mazes: successes so far", "x": "sampled tokens", "y": "successes", "series": series}
    ]


STUDY = Study(
    id="pope_maze_long",
    method="pope",
    title="Long mazes alone: where plain sampling has nothing to begin with",
    scale="sprout",
    budget=(
        f"of the first {LONG['candidates']} mazes of size {SIZE} of each of {len(SEEDS)} seeds those that sprout solves in "
        f"none of {SAMPLES} samples and whose way has {LONG['least']} moves or more; {LONG['tokens']:,} sampled tokens "
        f"a run, those of the prefix search included, groups of 16, 16 groups a step, grpo; {SAMPLES} unguided samples "
        "of each maze afterwards"
    ),
    claims=(
        Claim(
            "plain",
            "Plain RL leaves long hard mazes at zero.",
            "share of them with a success in 128 samples, plain",
            "<",
            0.1,
        ),
        Claim(
            "left at zero",
            "POPE solves mazes without guidance that plain RL leaves at zero.",
            "share of them with a success under pope and none under plain",
            ">",
            0.05,
        ),
        Claim(
            "solved",
            "POPE solves more of them than plain RL does.",
            "share of them with a success in 128 samples, pope less plain",
            ">",
            0.0,
        ),
        Claim("pass@1", "Its pass rate on them is higher.", "pass@1, pope less plain", ">", 0.0),
    ),
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, pope_maze.__file__),
    curves=curves,
)
