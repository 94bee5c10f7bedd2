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

from hone.studies import maxrl_maze, maxrl_mazes
from hone.studies.maxrl_mazes import Mazes

FEW, COUNT, MANY = 4, 16, 128
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
    samples=MANY,
    every=50,
)
SHORT = replace(maxrl_maze.SHORT, arms=(("maxrl", COUNT),), samples=MANY)
STUDY = replace(
    maxrl_mazes.study(
        "maxrl_maze17", "Mazes of size 17 with the paper's model", FULL, SHORT, (FEW, COUNT, MANY), __file__
    ),
    gpu=True,
)
