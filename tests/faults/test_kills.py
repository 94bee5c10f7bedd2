"""Runs that are killed at every moment and resumed end with the same bits as one that never stopped."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from faults.left import left_by
from faults.warm import Warm

REWARDS = Path(__file__).parents[1] / "training" / "rewards.py"
RUN = {
    "task": {"name": "maze", "sizes": 5},
    "reward": f"inprocess:{REWARDS}:even",
    "model": "micro:new",
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 5,
    "learning_rate": 1e-2,
    "steps": 3,
    "eval": {"problems": 2, "samples": 2, "samples_during": 2, "k": [1], "every": 1, "keep_samples": 2},
    "checkpoint": {"every": 1},
}
# A selector; a curriculum whose state has a tensor; the best checkpoint beside the last and every second one.
LEARNING = {
    **RUN, "curriculum": "wandering", "mask_truncated_completions": True, "schedule": "cosine",
    "max_completion_length": 16,
    "checkpoint": {"every": 1, "keep_last": 1, "keep_every": 2, "best": "-length"},
}  # fmt: skip
# Checkpoints are rests of the run that samples ahead, so both runs rest at the same steps.
AHEAD = {
    **RUN, "one_step_off": True, "correction": "importance", "steps": 4, "checkpoint": {"every": 2},
    "eval": {**RUN["eval"], "every": 0},
}  # fmt: skip
SEVERAL = {**RUN, "num_iterations": 2, "minibatches": 2, "checkpoint": {"every": 2}}
IN_MAKE_TEST = 10


@pytest.fixture(scope="module")
def warm():
    process = Warm()
    yield process
    process.close()


class Whole:
    """A recipe's run that nothing stopped, what it left, and at how many moments it changed something on disk."""

    def __init__(self, warm: Warm, recipe: dict, folder: Path) -> None:
        self.warm, self.recipe, self.folder = warm, recipe, folder
        found = warm.run(recipe, folder / "whole")
        assert found["error"] is None
        self.boundaries = found["boundaries"]
        self.left = left_by(folder / "whole")

    def killed(self, name: str, *kills: dict) -> Path:
        """Run, be killed by each of `kills` in turn, and be resumed to the end; assert that nothing is missing."""
        out = self.folder / name
        for kill in kills:
            self.warm.run(self.recipe, out, resume=True, **kill)
        found = self.warm.run(self.recipe, out, resume=True)
        assert (found["code"], found["error"]) == (0, None), name
        assert left_by(out) == self.left, name
        return out


@pytest.fixture(scope="module")
def learning(warm, tmp_path_factory):
    return Whole(warm, LEARNING, tmp_path_factory.mktemp("learning"))


def spread(count: int, boundaries: int) -> list[int]:
    """`count` of 1 .. `boundaries`, evenly, the first and the last among them."""
    return [1 + round(i * (boundaries - 1) / (count - 1)) for i in range(count)]


def test_the_uninterrupted_run_does_what_the_kills_are_to_disturb(learning):
    left = learning.left
    assert left["state"]["best"]["metric"] == "-length"
    assert len(left["state"]["stages"]["curriculum"]["path"]) == LEARNING["steps"]
    assert left["state"]["best"]["step"] in left["checkpoints"]
    assert {2, 3} <= set(left["checkpoints"])
    assert sum(line["updates_skipped"] for line in left["metrics"]) < 2
    assert learning.boundaries > 100


@pytest.mark.parametrize("number", range(IN_MAKE_TEST))
def test_ten_moments(learning, number):
    at = spread(IN_MAKE_TEST, learning.boundaries)[number]
    out = learning.killed(f"at-{at}", {"kill_at": at})
    ledger = json.loads((out / "summary.json").read_text())
    # Of a line that the kill has torn nothing is known, so it does not count.
    cut = [line for path in out.glob("metrics.after-*.jsonl") for line in path.read_text().splitlines(True)]
    assert any(line.endswith("\n") for line in cut) == (ledger["redone_rollouts"] > 0)


@pytest.mark.slow
def test_every_moment_at_which_something_is_written(learning):
    for at in range(1, learning.boundaries + 1):
        learning.killed(f"every-{at}", {"kill_at": at})


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [RUN, AHEAD, SEVERAL], ids=["plain", "ahead", "several"])
def test_random_moments_and_a_resumption_that_is_killed_too(warm, recipe, tmp_path):
    rng = random.Random(0)
    whole = Whole(warm, recipe, tmp_path)
    for number in range(12):
        boundary, later = (rng.randrange(1, whole.boundaries) for _ in range(2))
        whole.killed(f"after-{number}", {"after": rng.uniform(0.05, 2.0)})
        whole.killed(
            f"twice-{number}", {"kill_at": boundary}, {"kill_at": later}, {"after": rng.uniform(0.05, 1.0)}
        )
