"""The interpreter accepts what the compiler refuses, so every kernel is compiled for a GPU too."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Importing Triton here would settle, for this whole process, whether its kernels are interpreted.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
SHARED_MEMORY = 227 * 1024  # bytes that one program may take on such a GPU


def test_every_kernel_compiles_for_a_gpu() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    script = Path(__file__).with_name("compile_triton.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    shared = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(shared) == 11
    assert max(shared) <= SHARED_MEMORY
