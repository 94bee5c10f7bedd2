"""POPE on mazes that the shipped model does not solve once in 128 samples: what is solved afterwards without guidance.

Of the first mazes of a seed those are hard that have no success in 128 samples of the base; each gets a prefix by the
search. Then every arm trains on the hard mazes with the same sampled tokens, those of the search counted where prefixes
are used. Then the plain problems are attempted: the hard mazes trained on, and held-out mazes that the base did not
solve once in as many samples either.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.evals import pass_at_k
from hone.lab.claims import Claim
from hone.studies.harness import Cell, Results, Study, device

SAMPLES = 128
SIZE = 11  # the base has seen sizes 5 to 9: most of these mazes it never solves
ARMS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"curriculum.versions": "unguided"},
    "pope": {},
    "pope maxrl": {"credit": "maxrl"},
}
RECIPE: Mapping[str, Any] = {
    "task": {"name": "maze", "sizes": SIZE},
    "model": "sprout",
    "method": "pope",
    "num_generations": 16,
    "problems_per_step": 16,
    "steps": 10_000,
    "max_completion_length": 48,
    "learning_rate": 3e-4,
    # A quarter of the way, as in the paper, helps with few of these mazes.
    "curriculum": {"max_share": 0.5, "cuts": 4, "search_samples": 16},
    "eval": {"before": False, "problems": 1, "samples": 1},
}
LONG = {"candidates": 40, "tokens": 200_000, "held_out": 24}
SHORT = {"candidates": 12, "tokens": 20_000, "held_out": 6}
SEEDS = 3
WINDOW = 10  # steps of a point of a curve


def cells(short: bool) -> list[Cell]:
    """Every seed with all arms, which share its hard mazes."""
    return [Cell("arms", seed, SHORT if short else LONG) for seed in range(1 if short else SEEDS)]


def run(cell: Cell) -> dict[str, Any]:
    """Find the hard mazes of a seed, train every arm on them, and attempt the plain problems."""
    import hone
    from hone.tasks import make

    maze = make("maze", sizes=SIZE)
    sizes = cell.settings
    shared = {"seed": cell.seed, "device": device()}
    held_out = range(sizes["held_out"])
    before = solved("sprout", "test", held_out)
    never = [index for index, right in zip(held_out, before, strict=True) if not right]
    with tempfile.TemporaryDirectory() as folder:
        looked = {**shared, "curriculum.problems": sizes["candidates"], "steps": 0}
        found = hone.train(RECIPE, out=Path(folder) / "search", **looked)
        prefixes = found.path / "prepared.json"
        hard = [
            each for each in json.loads(prefixes.read_text(encoding="utf-8"))["prefixes"] if each["prefix"]
        ]
        searched = sum(each["searched_tokens"] for each in hard)
        out: dict[str, Any] = {
            "hard": len(hard),
            "levels": [len(str(maze.problem(each["index"]).oracle)) for each in hard],
            "prefixes": [len(each["prefix"]) for each in hard],
            "found": sum(each["how"] == "found" for each in hard),
            "searched_tokens": searched,
            "base_held_out": round(float(np.mean(before)) / SAMPLES, 4),
        }
        for arm, keys in ARMS.items():
            tokens = sizes["tokens"] - (0 if arm == "plain" else searched)
            asked = {**shared, "curriculum.prefixes": str(prefixes), "max_sampled_tokens": tokens, **keys}
            trained = hone.train(RECIPE, out=Path(folder) / arm, **asked)
            lines = trained.metrics()
            out[arm] = {
                "hard": solved(str(trained.final), "train", [each["index"] for each in hard]),
                "held_out": solved(str(trained.final), "test", never),
                "tokens": [line["sampled_tokens"] for line in lines[WINDOW - 1 :: WINDOW]],
                "unguided": _windows(lines, "unguided"),
                "guided": _windows(lines, "guided"),
            }
        return out


def _windows(lines: list[dict[str, Any]], version: str) -> list[float]:
    """The pass rate of the training groups of a version, over WINDOW steps at a time; empty where there are none."""
    right = [line[f"pope/{version}_correct"] for line in lines]
    count = [line[f"pope/{version}_rollouts"] for line in lines]
    ends = range(WINDOW, len(lines) + 1, WINDOW)
    if not sum(count):
        return []
    return [round(sum(right[e - WINDOW : e]) / sum(count[e - WINDOW : e]), 5) for e in ends]


def solved(model: str, split: str, indices: Any) -> list[int]:
    """Of SAMPLES answers to each plain maze, how many are right."""
    from hone.core.sampling import SamplingParams
    from hone.engines import choose
    from hone.policies.loading import load_policy
    from hone.tasks import make
    from hone.training.evaluate import evaluate
    from hone.training.judging import build_judge

    policy = load_policy(model, device=device())
    engine, _ = choose(policy, "auto")
    task = make("maze", sizes=SIZE)
    params = SamplingParams(RECIPE["max_completion_length"])
    chosen = list(indices)
    found = evaluate(
        policy, engine, task, build_judge(task, None), params, problems=len(chosen), samples=SAMPLES,
        ks=(1,), split="train" if split == "train" else "test", indices=chosen,
    )  # fmt: skip
    return [round(rate * SAMPLES) for rate in found.line["rates"]]


def _mean(counts: list[int], k: int) -> float:
    """Mean pass@k of problems with so many successes in SAMPLES."""
    return float(np.mean(pass_at_k(np.full(len(counts), SAMPLES), np.array(counts), k)))


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Differences between arms with the same seed."""
    seeds = [found for _, found in sorted(results["arms"].items())]

    def over(arm: str, base: str, where: str, k: int) -> np.ndarray:
        return np.array([_mean(found[arm][where], k) - _mean(found[base][where], k) for found in seeds])

    def alone(arm: str, base: str) -> np.ndarray:
        pairs = [zip(found[arm]["hard"], found[base]["hard"], strict=True) for found in seeds]
        return np.array([np.mean([a > 0 and b == 0 for a, b in pair]) for pair in pairs])

    return {
        "pass@1": over("pope", "plain", "hard", 1),
        "solved": over("pope", "plain", "hard", SAMPLES),
        "left at zero": alone("pope", "plain"),
        "held out": over("pope", "plain", "held_out", SAMPLES),
        "maxrl pass@1": over("pope maxrl", "plain", "hard", 1),
        "maxrl over grpo": over("pope maxrl", "pope", "hard", 1),
    }


def curves(results: Results) -> list[dict[str, Any]]:
    """Pass rates of the unguided training groups over sampled tokens: the mean of the seeds with their range."""
    series = {}
    for arm in ARMS:
        each = [found[arm] for found in results["arms"].values()]
        length = min(len(r["unguided"]) for r in each)
        if not length:
            continue
        rates = np.array([r["unguided"][:length] for r in each])
        series[arm] = {
            "x": np.mean([r["tokens"][:length] for r in each], axis=0).round().tolist(),
            "y": rates.mean(axis=0).round(5).tolist(),
            "low": rates.min(axis=0).tolist(),
            "high": rates.max(axis=0).tolist(),
        }
    title = "Mazes without a success in 128 samples of the base: pass rate without guidance"
    return [{"title": title, "x": "sampled tokens", "y": "pass rate", "series": series}]


STUDY = Study(
    id="pope_maze",
    method="pope",
    title="Mazes that the base never solves: sprout with and without guided prompts",
    scale="sprout",
    budget=(
        f"the first {LONG['candidates']} mazes of size {SIZE} of each of {SEEDS} seeds, of which those are hard that "
        f"sprout solves in none of {SAMPLES} samples; {LONG['tokens']:,} sampled tokens a run, those of the prefix "
        "search included, groups of 16, 16 groups a step, grpo unless said otherwise; prefixes of up to half of the "
        f"way, searched at 4 places with 16 samples each; {SAMPLES} unguided samples of each maze afterwards"
    ),
    claims=(
        Claim(
            "solved",
            "POPE solves more of the hard mazes than plain RL does, without guidance.",
            "share of the hard mazes with a success in 128 samples, pope less plain",
            ">",
            0.0,
        ),
        Claim(
            "pass@1",
            "Its pass rate on the hard mazes is higher.",
            "pass@1 on the hard mazes, pope less plain",
            ">",
            0.0,
        ),
        Claim(
            "left at zero",
            "It solves hard mazes that plain RL leaves at zero.",
            "share of the hard mazes with a success under pope and none under plain",
            ">",
            0.05,
        ),
        Claim(
            "held out",
            "It solves more of held-out mazes that the base never solved.",
            "share of the held-out hard mazes with a success in 128 samples, pope less plain",
            ">",
            0.0,
        ),
        Claim(
            "maxrl pass@1",
            "POPE under MaxRL's credit has a higher pass rate on the hard mazes than plain RL.",
            "pass@1 on the hard mazes, pope maxrl less plain",
            ">",
            0.0,
        ),
        Claim(
            "maxrl over grpo",
            "Under POPE, MaxRL's credit has a higher pass rate on the hard mazes than grpo.",
            "pass@1 on the hard mazes, pope maxrl less pope",
            ">",
            0.0,
        ),
    ),
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__,),
    curves=curves,
)
