"""Mazes under several credits at one budget of sampled tokens (T5): what the maze studies of MaxRL share.

All arms differ in their credit and in how many rollouts a problem has, and in nothing else: rollouts of a step,
learning rate, objective and reduction are the same, so that more rollouts of a problem mean fewer problems of a step.
Arms of one seed meet the same mazes, as far as their problems of a step allow, and are evaluated on the same held-out
ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hone
from hone.lab.claims import Claim
from hone.studies import warm_start
from hone.studies.harness import Cell, Results, Study, device
from hone.training.progress import Quiet

CREDITS: Mapping[str, Mapping[str, Any]] = {
    "rloo": {"credit": "rloo"},
    "grpo": {"credit": "grpo"},
    "grpo_entropy": {"credit": "grpo", "entropy_coef": 0.01},
    "pass_at_k": {"credit": {"name": "pass_at_k", "k": 8}},
    "maxrl": {"credit": "maxrl"},
}
LAST = 0.2  # of the steps: over these the share of problems with a success is read
POINTS = 30  # of a curve of training, each a mean over as many steps


@dataclass(frozen=True)
class Mazes:
    """The dials of one study. `warm` gives the recipe of the model that all arms start from."""

    size: int
    warm: Callable[[], Mapping[str, Any]]
    answer: int  # sampled tokens a rollout may have
    tokens: int  # sampled in a run
    rollouts: int  # of a step
    learning_rate: float
    arms: tuple[tuple[str, int], ...]  # credit, num_generations
    seeds: int
    problems: int  # held-out
    samples: int  # of each of them, before and after
    every: int  # steps between evaluations of 16 samples

    def cells(self, short: bool) -> list[Cell]:
        """One cell a credit, group size and seed; the seeds outermost, so that whoever stops early has whole ones."""
        return [
            Cell(f"{credit}-{count}", seed, {"credit": credit, "num_generations": count, "short": short})
            for seed in range(self.seeds)
            for credit, count in self.arms
        ]

    def recipe(self, cell: Cell, model: str) -> dict[str, Any]:
        """What a cell trains."""
        count = cell.settings["num_generations"]
        return {
            "task": {"name": "maze", "sizes": self.size},
            "model": model,
            "method": "rloo",  # its objective and reduction are those of every arm
            **CREDITS[cell.settings["credit"]],
            "num_generations": count,
            "problems_per_step": self.rollouts // count,
            "max_sampled_tokens": self.tokens,
            "steps": 1_000_000,  # the budget of tokens ends the run
            "max_completion_length": self.answer,
            "learning_rate": self.learning_rate,
            "seed": cell.seed,
            "device": device(),
            "eval": {
                "every": self.every,
                "problems": self.problems,
                "samples": self.samples,
                "samples_during": min(16, self.samples),
                "k": [1, 4, 16, self.samples],
                "keep_samples": 0,
            },
        }

    def run(self, cell: Cell) -> dict[str, Any]:
        """Train a cell from the warm start, in a temporary folder."""
        model = str(warm_start.warm_start({**self.warm(), "device": device()}))
        with tempfile.TemporaryDirectory() as folder:
            done = hone.train(self.recipe(cell, model), out=Path(folder) / "run", progress=_Told(cell.key))
            return read(done.metrics(), done.evals(), self.samples)


class _Told(Quiet):
    """Says of every evaluation how far a cell is."""

    def __init__(self, cell: str) -> None:
        self.cell = cell

    def evaluation(self, line: Mapping[str, Any]) -> None:
        """One line."""
        print(
            f"  {self.cell}: {line['sampled_tokens']:,} tokens, pass@1 {line['pass@1']['value']:.3f}",
            flush=True,
        )


def read(metrics: list[dict[str, Any]], evals: list[dict[str, Any]], most: int) -> dict[str, Any]:
    """What is kept of a run: held-out pass@k at its ends, and curves of pass@1, pass@16 and the share of problems
    with a success."""
    solved = 1 - np.array([line["groups/all_zero"] for line in metrics])
    tokens = np.array([line["sampled_tokens"] for line in metrics])
    parts = np.array_split(np.arange(len(metrics)), min(POINTS, len(metrics)))
    ks = [k for k in sorted({1, 4, 16, most}) if k <= most]
    first, last = evals[0], evals[-1]
    return {
        "start": {f"pass@{k}": first[f"pass@{k}"]["value"] for k in ks},
        "end": {f"pass@{k}": last[f"pass@{k}"]["value"] for k in ks},
        "with_success": float(solved[-max(1, round(LAST * len(solved))) :].mean()),
        "steps": len(metrics),
        "sampled_tokens": int(tokens[-1]),
        "entropy": metrics[-1]["entropy"],
        "length": metrics[-1]["length/mean"],
        "largest_grad_norm": max(line["grad_norm"] or 0.0 for line in metrics),
        "training": {
            "sampled_tokens": [int(tokens[part[-1]]) for part in parts],
            "with_success": [round(float(solved[part].mean()), 4) for part in parts],
        },
        "held_out": {
            "sampled_tokens": [line["sampled_tokens"] for line in evals],
            **{f"pass@{k}": [line[f"pass@{k}"]["value"] for line in evals] for k in ks if k <= 16},
        },
    }


def claims(most: int, count: int, few: int, many: int) -> tuple[Claim, ...]:
    """The claims of T5 with `count` rollouts of a problem, and two of the scaling figure between `few` and `many`."""
    found = []
    for better, worse in (("maxrl", "grpo"), ("grpo", "rloo")):
        pair = f"{better.upper()} over {worse.upper()}".replace("MAXRL", "MaxRL")
        for what in ("pass@1", f"pass@{most}"):
            found.append(
                Claim(
                    f"{better}_over_{worse}_{what}",
                    f"{pair}, N = {count}: {what} is higher at the end (T5).",
                    f"held-out {what} at the end, {better} less {worse}",
                    ">",
                    0.0,
                )
            )
        found.append(
            Claim(
                f"{better}_over_{worse}_with_success",
                f"{pair}, N = {count}: more training problems with a success (T5).",
                f"share of problems with one in {count} over the last fifth of the steps, {better} less {worse}",
                ">",
                0.0,
            )
        )
    scaling = ((few, "rloo", many), (count, "grpo", many))
    return (
        *found,
        *(
            Claim(
                f"maxrl_{fewer}_over_{worse}_{more}",
                f"MaxRL with {fewer} rollouts of a problem beats {worse.upper()} with {more}, at equal tokens.",
                f"held-out pass@1 at the end, maxrl at N = {fewer} less {worse} at N = {more}",
                ">",
                0.0,
            )
            for fewer, worse, more in scaling
        ),
    )


def statistics(of: tuple[Claim, ...], count: int) -> Callable[[Results], dict[str, np.ndarray]]:
    """Differences of the claims `of`, paired over the seeds that both arms have."""

    def differences(results: Results) -> dict[str, np.ndarray]:
        found = {}
        for claim in of:
            better, worse, what = _arms(claim.id, count)
            both = sorted(set(results.get(better, ())) & set(results.get(worse, ())))
            if both:
                values = [_value(results[better][s], what) - _value(results[worse][s], what) for s in both]
                found[claim.id] = np.array(values)
        return found

    return differences


def _arms(claim: str, count: int) -> tuple[str, str, str]:
    """The two arms that a claim compares, and what of them."""
    better, _, rest = claim.partition("_over_")
    worse, _, what = rest.partition("_")
    if what.isdecimal():
        return better.replace("_", "-"), f"{worse}-{what}", "pass@1"
    return f"{better}-{count}", f"{worse}-{count}", what


def _value(result: Mapping[str, Any], what: str) -> float:
    return float(result["with_success"] if what == "with_success" else result["end"][what])


def curves(results: Results) -> list[dict[str, Any]]:
    """pass@1, pass@16 and the share of problems with a success against sampled tokens, a plot for each group size."""
    plots = []
    counts = sorted({int(arm.rpartition("-")[2]) for arm in results})
    for count in counts:
        arms = {arm.rpartition("-")[0]: by for arm, by in results.items() if arm.endswith(f"-{count}")}
        for part, name, words in (
            ("held_out", "pass@1", "held-out pass@1"),
            ("held_out", "pass@16", "held-out pass@16"),
            ("training", "with_success", "training problems with a success"),
        ):
            series = {arm: _line([by[seed][part] for seed in sorted(by)], name) for arm, by in arms.items()}
            plots.append({"title": f"N = {count}", "x": "sampled tokens", "y": words, "series": series})
    return plots


def _line(runs: list[Mapping[str, Any]], name: str) -> dict[str, list[float]]:
    """Mean over runs, at the tokens of the first, with the lowest and the highest."""
    x = runs[0]["sampled_tokens"]
    rows = np.array([np.interp(x, run["sampled_tokens"], run[name]) for run in runs])
    low, high = rows.min(0).tolist(), rows.max(0).tolist()
    return {"x": list(x), "y": rows.mean(0).tolist(), "low": low, "high": high}


def study(
    name: str, title: str, full: Mazes, short: Mazes, counts: tuple[int, int, int], *sources: str
) -> Study:
    """The study `name` of these dials. `counts`: the fewest rollouts of a maze, those of the main arms, the most."""
    few, count, many = counts
    stated = claims(full.samples, count, few, many)

    def dials(is_short: bool) -> Mazes:
        return short if is_short else full

    return Study(
        id=name,
        method="maxrl",
        title=title,
        scale="sprout",
        budget=f"{full.tokens:,} sampled tokens a run, {full.rollouts:,} rollouts a step, {full.seeds} seeds, "
        f"{len(full.arms)} arms; {full.problems} held-out mazes with {full.samples} answers each.",
        claims=stated,
        cells=lambda is_short: dials(is_short).cells(is_short),
        run=lambda cell: dials(cell.settings["short"]).run(cell),
        statistics=statistics(stated, count),
        curves=curves,
        sources=(*sources, __file__, warm_start.__file__),
    )
