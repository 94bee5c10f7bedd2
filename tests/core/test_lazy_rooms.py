"""Rooms that only describe pieces are imported without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["credit", "objectives", "evals"])
def test_room_imports_without_torch(room):
    code = f"import sys, hone.{room}; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
