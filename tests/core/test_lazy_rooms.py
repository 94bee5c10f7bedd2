"""Rooms that only describe pieces are imported without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hone

SOURCE = str(Path(hone.__file__).parents[1])


@pytest.mark.parametrize(
    "room", ["credit", "objectives", "evals", "tasks", "isolation.functions", "isolation.sandbox.probe"]
)
def test_room_imports_without_torch(room):
    code = f"import sys, hone.{room}; print('torch' in sys.modules or 'scipy' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "False"
