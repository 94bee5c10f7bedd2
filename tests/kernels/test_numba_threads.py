"""numba leaves torch the number of threads that it was told to use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

PROGRAM = """
import torch
from hone.kernels import layers_numba
from hone.kernels.numba_jit import prepare
torch.set_num_threads(1)
prepare()
print(torch.get_num_threads())
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one thread anyway")
def test_one_thread_stays_one() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
