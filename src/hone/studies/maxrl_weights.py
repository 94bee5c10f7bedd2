"""How much a problem weighs by its pass rate (T3): sampled groups of a softmax policy beside exact expectations.

For rewards of 0 and 1 the expected update of a group is a weight times the gradient of the pass rate p. MaxRL's weight
grows as 1/p until the group is too small to see it, RLOO's is 1, and that of GRPO is 1/sqrt(p(1-p)) where groups are
large against 1/p, and flat where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.lazy import torch
from hone.credit import Grpo, Maxrl, Rloo
from hone.lab.claims import Claim
from hone.studies import maxrl_classifier
from hone.studies.harness import Cell, Results, Study
from hone.studies.maxrl_classifier import Credit, SampledDirection, band, draw_counts

if TYPE_CHECKING:
    from jaxtyping import Float

CREDITS: Mapping[str, Credit] = {
    "maxrl": Maxrl(),
    "grpo": Grpo(std="population", std_epsilon=0.0),
    "rloo": Rloo(),
}
SEEDS = 8
ACTIONS = 32
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
SIZES = (4, 16, 64, 1024)
SMALL = (4, 16, 64)

CLAIMS = (
    Claim(
        "rare",
        "Where p is small MaxRL moves a problem N − 1 times as far as RLOO (T3).",
        "p = 0.001: weight of MaxRL over that of RLOO, over N − 1; mean over N = 4, 16, 64",
        ">",
        0.9,
    ),
    Claim(
        "rare_at_most",
        "And no further than N times (T3).",
        "the same over N",
        "<",
        1.0,
    ),
    Claim(
        "easy_maxrl",
        "At p = 0.9 MaxRL weighs a problem about 1.1 (T3).",
        "N = 1024, p = 0.9: |weight of MaxRL − 1/p|, over 1/p",
        "<",
        0.05,
    ),
    Claim(
        "easy_grpo",
        "At p = 0.9 GRPO weighs it 3.33 (T3).",
        "N = 1024, p = 0.9: |weight of GRPO − 1/sqrt(p(1−p))|, over 1/sqrt(p(1−p))",
        "<",
        0.05,
    ),
    Claim(
        "grpo_large_groups",
        "With large groups GRPO over RLOO grows as 1/sqrt(p) (T3).",
        "N = 1024: |slope of ln(weight of GRPO over RLOO) against ln p, from 0.01 to 0.1, + 1/2|",
        "<",
        0.1,
    ),
    Claim(
        "grpo_small_groups",
        "With small groups it does not: only at the population level (T3).",
        "N = 4: the same slope, from 0.001 to 0.01",
        ">",
        -0.1,
    ),
)


def cells(short: bool) -> list[Cell]:
    """One cell a group size, with all seeds in it."""
    groups, seeds = (500, 2) if short else (20_000, SEEDS)
    sizes = (4, 1024) if short else SIZES
    return [
        Cell(
            f"N={size}",
            0,
            {"num_generations": size, "groups": groups if size < 1024 else groups // 10, "seeds": seeds},
        )
        for size in sizes
    ]


def exact_weight(direction: SampledDirection, rate: float) -> float:
    """w(p) with which the expected update of a group is w grad p: a sum over how many of it succeed.

    The score of an action has mean grad p / p over successes and −grad p / (1 − p) over failures.
    """
    from scipy.stats import binom

    successes = torch.arange(direction.size + 1)
    right, wrong = (a.numpy() for a in direction.advantages(successes))
    count = successes.numpy()
    per_group = (count * right / rate - (direction.size - count) * wrong / (1 - rate)) / direction.size
    return float(binom.pmf(count, direction.size, rate) @ per_group)


def sampled_weight(
    direction: SampledDirection,
    chances: Float[torch.Tensor, "actions"],
    counts: Float[torch.Tensor, "groups actions"],
) -> float:
    """The same from sampled groups: the projection of their mean update on grad p. The right action is the first."""
    groups = len(counts)
    labels = torch.zeros((1, groups), dtype=torch.long)
    update = direction.of_counts(chances.expand(1, groups, -1), counts[None], labels)
    gradient = -chances[0] * chances
    gradient[0] += chances[0]
    return float(update[0].mean(0) @ gradient / (gradient @ gradient))


def run(cell: Cell) -> dict[str, Any]:
    """Weights of every credit at every pass rate, sampled for each seed and exact."""
    size, groups = cell.settings["num_generations"], cell.settings["groups"]
    directions = {name: SampledDirection(credit, size) for name, credit in CREDITS.items()}
    exact = {name: [exact_weight(d, rate) for rate in RATES] for name, d in directions.items()}
    sampled: dict[str, list[list[float]]] = {name: [] for name in CREDITS}
    for seed in range(cell.settings["seeds"]):
        generator = torch.Generator().manual_seed(seed)
        wrong = torch.softmax(torch.randn(ACTIONS - 1, generator=generator, dtype=torch.float64), 0)
        rows: dict[str, list[float]] = {name: [] for name in CREDITS}
        for rate in RATES:
            chances = torch.cat([torch.tensor([rate], dtype=torch.float64), (1 - rate) * wrong])
            counts = draw_counts(chances.expand(groups, -1), size, generator)
            for name, direction in directions.items():
                rows[name].append(sampled_weight(direction, chances, counts))
        for name in CREDITS:
            sampled[name].append(rows[name])
    parts: dict[str, Mapping[str, Any]] = {"exact": exact, "sampled": sampled}
    return {f"{part}/{name}": values for part, found in parts.items() for name, values in found.items()}


def statistics(results: Results) -> dict[str, np.ndarray]:
    """Of sampled weights, seed by seed, of the claims whose groups were run."""

    def weight(name: str, size: int, rate: float) -> np.ndarray:
        return np.array(results[f"N={size}"][0][f"sampled/{name}"])[:, RATES.index(rate)]

    def slope(size: int, low: float, high: float) -> np.ndarray:
        ends = [np.log(weight("grpo", size, p) / weight("rloo", size, p)) for p in (low, high)]
        return (ends[1] - ends[0]) / np.log(high / low)

    found = {}
    if all(f"N={n}" in results for n in SMALL):
        ratios = {n: weight("maxrl", n, 0.001) / weight("rloo", n, 0.001) for n in SMALL}
        found["rare"] = np.mean([ratios[n] / (n - 1) for n in SMALL], axis=0)
        found["rare_at_most"] = np.mean([ratios[n] / n for n in SMALL], axis=0)
    if "N=4" in results:
        found["grpo_small_groups"] = slope(4, 0.001, 0.01)
    if "N=1024" in results:
        found["easy_maxrl"] = abs(weight("maxrl", 1024, 0.9) * 0.9 - 1)
        found["easy_grpo"] = abs(weight("grpo", 1024, 0.9) * np.sqrt(0.9 * 0.1) - 1)
        found["grpo_large_groups"] = abs(slope(1024, 0.01, 0.1) + 0.5)
    return found


def curves(results: Results) -> list[dict[str, Any]]:
    """Weight against pass rate, in powers of ten: sampled (band: lowest and highest seed) and exact."""
    plots = []
    for arm, by_seed in results.items():
        series: dict[str, Any] = {}
        for name in CREDITS:
            x = np.log10(RATES).tolist()
            series[name] = band(x, np.log10(by_seed[0][f"sampled/{name}"]))
            series[f"{name}, exact"] = {"x": x, "y": np.log10(by_seed[0][f"exact/{name}"]).tolist()}
        words = {"x": "log10 of the pass rate", "y": "log10 of the weight"}
        plots.append({"title": f"Weight of a problem, {arm}", **words, "series": series})
    return plots


STUDY = Study(
    id="maxrl_weights",
    method="maxrl",
    title="How much a problem weighs by its pass rate",
    scale="tabular",
    budget=f"{SEEDS} seeds; 20,000 groups at each of {len(RATES)} pass rates and N = 4, 16, 64; 2,000 groups of 1,024",
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    curves=curves,
    sources=(__file__, maxrl_classifier.__file__),
)
