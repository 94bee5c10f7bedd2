"""MaxRL beside exact cross-entropy (T4): pairs and triples of digits as 100 and 1,000 actions, from uniform policies.

A pilot on seeds 900 and 901 chose the learning rate (of 0.05, 0.1, 0.2 and 0.3, that with which cross-entropy ended
best) and the thresholds, at places where cross-entropy still climbs. It also ran the other arms on pairs, without
effect on claims and margins, which are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hone.core.lazy import torch
from hone.credit import Grpo, Maxrl, Reinforce, Rloo
from hone.lab.claims import Claim
from hone.studies import maxrl_classifier
from hone.studies.harness import Cell, Results, Study
from hone.studies.maxrl_classifier import (
    Classifiers,
    SampledDirection,
    band,
    cross_entropy_direction,
    digits,
)

CREDITS = {"maxrl": Maxrl, "rloo": Rloo, "grpo": Grpo, "reinforce": Reinforce}
SEEDS = 8
IMAGES = 64  # of a step
HELD_OUT = 500  # pairs or triples, all of held-out digits
EVERY = 5  # steps between readings
POINTS = 40  # of a curve, at most
THRESHOLD = {100: 0.8, 1000: 0.3}  # held-out accuracy
RATE = 0.1
HIDDEN = 128


def _claims() -> tuple[Claim, ...]:
    claims = []
    for actions in (100, 1000):
        reach = f"steps to {THRESHOLD[actions]:.0%} held-out accuracy"
        for factor, words in ((1, "as many"), (4, "four times as many")):
            claims.append(
                Claim(
                    f"maxrl_{actions}_{factor}x",
                    f"With {words} samples as the {actions:,} actions MaxRL needs at most 10% more steps than exact "
                    "cross-entropy (T4).",
                    f"{reach}: MaxRL at N = {factor * actions:,} over cross-entropy",
                    "<",
                    1.1,
                )
            )
        claims.append(
            Claim(
                f"reinforce_{actions}",
                f"REINFORCE with a baseline needs more than 5 times the steps of cross-entropy: {actions:,} actions, "
                "as many samples, the best of its learning rates (T4).",
                f"{reach}: REINFORCE at the best rate of each seed over cross-entropy; a run that never gets there "
                "counts with its last step",
                ">",
                5.0,
            )
        )
    return tuple(claims)


CLAIMS = _claims()


def cells(short: bool) -> list[Cell]:
    """One cell an arm, with all seeds in it. Short: pairs alone, two seeds and a few steps."""
    if short:
        few = {"seeds": 2, "hidden": 32}
        return [
            _cell(100, "cross_entropy", 0, 40, **few),
            _cell(100, "maxrl", 100, 40, **few),
            _cell(100, "maxrl", 400, 40, **few),
            _cell(100, "reinforce", 100, 40, **few),
        ]
    found = []
    for actions, steps, patient, rates in ((100, 400, 1000, (1, 4, 16)), (1000, 500, 1800, (1, 4))):
        found.append(_cell(actions, "cross_entropy", 0, steps))
        found += [_cell(actions, "maxrl", actions * quarters // 4, steps) for quarters in (1, 4, 16)]
        found += [_cell(actions, credit, actions, steps) for credit in ("grpo", "rloo")]
        found += [_cell(actions, "reinforce", actions, patient, rate=rate) for rate in rates]
    return found


def _cell(
    actions: int, arm: str, size: int, steps: int, rate: int = 1, seeds: int = SEEDS, hidden: int = HIDDEN
) -> Cell:
    name = f"{actions}/{arm}" + (f"-{size}" if size else "") + (f"-rate{rate}" if rate > 1 else "")
    settings = {"actions": actions, "arm": arm, "num_generations": size, "steps": steps, "rate": RATE * rate}
    return Cell(name, 0, {**settings, "seeds": seeds, "hidden": hidden})


def run(cell: Cell) -> dict[str, Any]:
    """Train all seeds of an arm and read the held-out images every few steps; exact, no action is sampled for it."""
    dials: Mapping[str, Any] = cell.settings
    seeds, actions = range(dials["seeds"]), dials["actions"]
    beside = len(str(actions)) - 1
    training, test = digits()
    held_out = [test.draw(np.random.default_rng((seed, 2)), HELD_OUT, beside) for seed in seeds]
    pixels, labels = _stacked(held_out)
    policy = Classifiers(seeds, pixels.shape[-1], dials["hidden"], actions, dials["rate"])
    images = [np.random.default_rng((seed, 1)) for seed in seeds]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    sampled = dials["arm"] != "cross_entropy"
    direction = SampledDirection(CREDITS[dials["arm"]](), dials["num_generations"]) if sampled else None
    readings: dict[str, list[Any]] = {"accuracy": [], "pass@1": [], "pass@16": []}
    for step in range(dials["steps"] + 1):
        if step % EVERY == 0:
            for name, value in _read(policy, pixels, labels).items():
                readings[name].append(value)
        shown, right = _stacked([training.draw(rng, IMAGES, beside) for rng in images])
        logits = policy.logits(shown)
        moved = (
            cross_entropy_direction(logits, right)
            if direction is None
            else direction(logits, right, generators)
        )
        policy.ascend(logits, moved)
    steps = list(range(0, dials["steps"] + 1, EVERY))
    curves = {name: np.array(values).T for name, values in readings.items()}
    kept = slice(None, None, -(-len(steps) // POINTS))
    return {
        "steps_to_threshold": [
            steps_to(steps, accuracy, THRESHOLD[actions]) for accuracy in curves["accuracy"].tolist()
        ],
        "steps": steps[kept],
        **{name: np.round(values[:, kept], 4).tolist() for name, values in curves.items()},
    }


def _stacked(drawn: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(np.stack([p for p, _ in drawn])), torch.tensor(np.stack([y for _, y in drawn]))


def _read(policy: Classifiers, pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, list[float]]:
    """Accuracy of the likeliest action, and exact pass@1 and pass@16, for each seed."""
    with torch.no_grad():
        logits = policy.logits(pixels)
    chance = torch.softmax(logits, -1).gather(-1, labels[..., None])[..., 0].double()
    return {
        "accuracy": (logits.argmax(-1) == labels).double().mean(-1).tolist(),
        "pass@1": chance.mean(-1).tolist(),
        "pass@16": (1 - (1 - chance) ** 16).mean(-1).tolist(),
    }


def steps_to(steps: Sequence[int], accuracy: Sequence[float], threshold: float) -> float:
    """The step at which `accuracy` first reaches `threshold`, between two readings on a line; else the last step."""
    at = next((i for i, value in enumerate(accuracy) if value >= threshold), None)
    if at is None:
        return float(steps[-1])
    if at == 0:
        return float(steps[0])
    share = (threshold - accuracy[at - 1]) / (accuracy[at] - accuracy[at - 1])
    return steps[at - 1] + share * (steps[at] - steps[at - 1])


def statistics(results: Results) -> dict[str, np.ndarray]:
    """Steps over those of cross-entropy, seed by seed, of the claims whose arms were run."""

    def reached(arm: str) -> np.ndarray:
        return np.array(results[arm][0]["steps_to_threshold"])

    found = {}
    for actions in (100, 1000):
        exact = f"{actions}/cross_entropy"
        if exact not in results:
            continue
        for factor in (1, 4):
            if (arm := f"{actions}/maxrl-{factor * actions}") in results:
                found[f"maxrl_{actions}_{factor}x"] = reached(arm) / reached(exact)
        slow = [reached(arm) for arm in results if arm.startswith(f"{actions}/reinforce")]
        if slow:
            found[f"reinforce_{actions}"] = np.min(slow, axis=0) / reached(exact)
    return found


def curves(results: Results) -> list[dict[str, Any]]:
    """Held-out accuracy and pass@1 against steps, one plot for each number of actions."""
    plots = []
    for actions in (100, 1000):
        arms = [arm for arm in results if arm.startswith(f"{actions}/")]
        for name, title in (("accuracy", "accuracy"), ("pass@1", "pass@1")):
            series = {
                arm.partition("/")[2]: band(results[arm][0]["steps"], results[arm][0][name]) for arm in arms
            }
            if series:
                plots.append(
                    {
                        "title": f"{actions:,} actions",
                        "x": "steps",
                        "y": f"held-out {title}",
                        "series": series,
                    }
                )
    return plots


STUDY = Study(
    id="maxrl_digits",
    method="maxrl",
    title="Digits: sampled actions beside exact cross-entropy",
    scale="tabular",
    budget=f"{SEEDS} seeds; {IMAGES} images a step; 100 actions: 400 steps an arm and 1,000 of REINFORCE; 1,000 "
    "actions: 500 and 1,800",
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    curves=curves,
    sources=(__file__, maxrl_classifier.__file__),
)
