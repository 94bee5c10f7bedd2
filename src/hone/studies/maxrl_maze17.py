"""The maze study of MaxRL at the paper's size 17 and with its model, for a GPU: up to 128 rollouts of a maze.

The model has the printed shape: hidden 256, four layers, four heads of 64 with two key-value heads, feed-forward 1,024,
here with a character for a token. Its warm start is the printed one: 1,500 steps of 32 shortest paths, learning rate
5e-4, cosine. Unlike in the paper, start and goal lie anywhere. The paper trains for 9,000 steps of 256 mazes; the
budget here is a small part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hone.studies import maxrl_mazes, warm_start
from hone.studies.harness import Cell, Study
from hone.studies.maxrl_maze import warm_briefly
from hone.studies.maxrl_mazes import Mazes

MOST, COUNT, FEW, MANY = 128, 16, 4, 128
ANSWER = 96  # tokens; of the first 1,000 training mazes the longest path has 52 moves


def warm() -> Mapping[str, Any]:
    """Supervised learning of shortest paths."""
    return {
        "task": {"name": "maze", "sizes": 17},
        "model": "qwen2:hidden=256,layers=4,heads=4,kv_heads=2,head_dim=64,ffn=1024,vocab=98",
        "method": "sft",
        "problems_per_step": 32,
        "steps": 1500,
        "learning_rate": 5e-4,
        "schedule": "cosine",
        "max_completion_length": ANSWER,
        "eval": {"problems": 64, "samples": 16, "k": [1, 16]},
    }


FULL = Mazes(
    size=17,
    warm=warm,
    answer=ANSWER,
    tokens=10_000_000,
    rollouts=1024,
    learning_rate=1e-4,
    arms=(
        *((credit, COUNT) for credit in ("rloo", "grpo", "maxrl")),
        *((credit, count) for count in (FEW, MANY) for credit in ("rloo", "grpo", "maxrl")),
    ),
    seeds=3,
    problems=128,
    samples=MOST,
    every=50,
)
SHORT = replace(
    FULL, size=5, warm=warm_briefly, answer=8, tokens=600, rollouts=32, seeds=1, problems=4, every=2,
    arms=(("maxrl", COUNT),),
)  # fmt: skip
CLAIMS = maxrl_mazes.claims(MOST, COUNT, FEW, MANY)


def cells(short: bool) -> list[Cell]:
    """Cells of the full dials or the short ones."""
    return (SHORT if short else FULL).cells(short)


def run(cell: Cell) -> dict[str, Any]:
    """One training run."""
    return (SHORT if cell.settings["short"] else FULL).run(cell)


STUDY = Study(
    id="maxrl_maze17",
    method="maxrl",
    title="Mazes of size 17 with the paper's model",
    scale="sprout",
    budget=f"{FULL.tokens:,} sampled tokens a run, {FULL.rollouts:,} rollouts a step, {FULL.seeds} seeds, "
    f"{len(FULL.arms)} arms; {FULL.problems} held-out mazes with {FULL.samples} answers each",
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=maxrl_mazes.statistics(CLAIMS, COUNT),
    curves=maxrl_mazes.curves,
    sources=(__file__, maxrl_mazes.__file__, warm_start.__file__),
)
