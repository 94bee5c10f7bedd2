"""The maze study of MaxRL at size 9 (T5): five credits at 16 rollouts of a maze, three of them at 4 and 64.

The model has sprout's shape and was shown shortest paths for 150 steps, by the first phase of the recipe `maxrl`: the
shipped sprout starts at a pass rate of 13.5%, above the 1 to 10% that the study wants. Learning rate, rollouts of a
step and answer length are the demo's. `pass_at_k` has k = 8. The entropy term has a coefficient of 0.01; the paper
gives none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

from hone.recipes import load
from hone.studies import maxrl_mazes
from hone.studies.maxrl_mazes import Mazes


def warm() -> Mapping[str, Any]:
    """The first phase of the shipped recipe."""
    return load.resolve("maxrl")[0].dump()


def warm_briefly() -> Mapping[str, Any]:
    """A model that knows the letters and no more."""
    return {
        **warm(), "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "steps": 3, "problems_per_step": 8,
        "eval": {"problems": 4, "samples": 4, "k": [1]},
    }  # fmt: skip


FEW, COUNT, MANY = 4, 16, 64
FULL = Mazes(
    size=9,
    warm=warm,
    answer=40,
    tokens=1_500_000,
    rollouts=512,
    learning_rate=2e-4,
    arms=(
        *((credit, COUNT) for credit in maxrl_mazes.CREDITS),
        *((credit, count) for count in (FEW, MANY) for credit in ("rloo", "grpo", "maxrl")),
    ),
    seeds=3,
    problems=128,
    samples=MANY,
    every=50,
)
SHORT = replace(
    FULL, size=5, warm=warm_briefly, answer=8, tokens=600, rollouts=32, seeds=1, problems=4, every=2,
    arms=(("rloo", COUNT), ("grpo", COUNT), ("maxrl", COUNT)),
)  # fmt: skip
STUDY = maxrl_mazes.study(
    "maxrl_maze", "Mazes of size 9 at equal sampled tokens", FULL, SHORT, (FEW, COUNT, MANY), __file__,
    str(resources.files("hone.recipes") / "maxrl.yaml"),
)  # fmt: skip
