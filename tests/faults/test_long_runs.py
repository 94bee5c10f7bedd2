"""Memory of long runs: what a step makes is let go of when the step is over."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import hone
from hone.training.progress import Quiet

# An answer of one token, so that nothing depends on lengths that training changes.
TINY = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 2,
    "problems_per_step": 2,
    "max_completion_length": 4,
    "learning_rate": 1e-5,
    "eval": {"problems": 1, "samples": 1, "k": [1], "before": False},
}


def even(text, answer):
    return float(sum(map(ord, text)) % 2 == 0)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Counting(Quiet):
    """Counts what is alive after the given steps: Python objects, tensors, bytes of tensors, resident bytes."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps
        self.seen: list[dict[str, int]] = []

    def step(self, line, of):
        if line["step"] not in self.steps:
            return
        gc.collect()
        objects = gc.get_objects()
        tensors = [o for o in objects if type(o) in (torch.Tensor, torch.nn.Parameter) and not o.is_mkldnn]
        size = sum(t.untyped_storage().nbytes() for t in tensors)
        self.seen.append(
            {"objects": len(objects), "tensors": len(tensors), "bytes": size, "resident": resident()}
        )


def grown(tmp_path: Path, *steps: int, **keys) -> dict[str, int]:
    """By how much each count grows between any two of `steps`, at least: a table that is filled once is no leak."""
    counting = Counting(*steps)
    hone.train(TINY, out=tmp_path / "run", reward=even, steps=steps[-1], progress=counting, **keys)
    seen = counting.seen
    return {name: min(b[name] - a[name] for a, b in pairwise(seen)) for name in seen[0]}


@pytest.mark.parametrize("keys", [{}, {"one_step_off": True, "correction": "importance"}])
def test_nothing_stays_of_a_step(keys, tmp_path):
    """By step 50 everything that is kept for the run is there: the guards' windows, the optimizer's state."""
    found = grown(tmp_path, 50, 60, 70, 80, **keys)
    assert found["tensors"] < 10  # less than one for every step
    assert found["bytes"] < 4096
    assert found["objects"] < 3 * 10  # not three objects a step


def test_the_count_sees_one_tensor_a_step(tmp_path, monkeypatch):
    from hone.training.session import Session

    kept = []
    begin = Session.begin

    def leak(self, step):
        begin(self, step)
        kept.append(torch.zeros(4))

    monkeypatch.setattr(Session, "begin", leak)
    assert grown(tmp_path, 10, 20, 30)["tensors"] >= 10


@pytest.mark.slow
def test_memory_does_not_grow_over_two_thousand_steps(tmp_path):
    """The first checkpoint comes before the first count: saving a model fills tables of transformers, once."""
    found = grown(tmp_path, 100, 1050, 2000, checkpoint={"every": 90})
    assert found["tensors"] <= 2
    assert found["bytes"] < 4096
    assert found["objects"] < 475  # not one in two steps
    assert found["resident"] < 32 << 20  # an allocator's pools, not 17 KiB a step
