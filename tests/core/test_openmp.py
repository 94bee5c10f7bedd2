"""Helpers of idle threads end and come back; how long they spin is limited where that still can be done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hone.core import openmp

PROGRAM = """
import hone, os, torch
from hone.core.openmp import end_helpers
count = lambda: len(os.listdir("/proc/self/task"))
torch.set_num_threads(4)
x = torch.randn(400, 400)
before = count()
x @ x; torch.relu(torch.randn(1 << 20))
with_helpers = count()
end_helpers()
without = count()
y = torch.relu(torch.arange(-(1 << 20), 1 << 20).float()).sum()
print(before, with_helpers, without, count(), float(y) > 0)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads by /proc")
def test_helpers_end_and_come_back() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    before, with_helpers, without, again, right = done.stdout.split()
    assert int(with_helpers) > int(without)
    assert int(again) == int(with_helpers)
    assert right == "True"
    assert int(without) <= int(before)


@pytest.mark.parametrize(
    ("loaded", "chosen", "spins"),
    [
        (False, {}, "3000"),
        (False, {"GOMP_SPINCOUNT": "10"}, "10"),
        (False, {"OMP_WAIT_POLICY": "active"}, None),
        (True, {}, None),
        (True, {"GOMP_SPINCOUNT": "10"}, "10"),
    ],
)
def test_spinning_is_limited_where_it_still_can_be(
    loaded: bool, chosen: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "modules", {"torch": pytest} if loaded else {})
    openmp.limit_spinning()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
