"""Products that compiled kernels call: packed, as they are, and those of scipy, against float64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from hone.kernels import layers_numba as kernels
from hone.kernels import numba_jit, products
from hone.kernels.products import PACKED, PLAIN, ROW_MAJOR, TRANSPOSED

NONE = np.empty(0, np.float32)
needs_mkl = pytest.mark.skipif(products.mkl() is None, reason="torch has no MKL for others to call")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    numba_jit.prepare()


@pytest.mark.parametrize("budget", [pytest.param(1 << 20, marks=needs_mkl), 0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 64, 300])
def test_laid_out_matrices_multiply_as_others(rows: int, bias: bool, budget: int) -> None:
    weight, x, added = torch.randn(40, 24), torch.randn(rows, 24), torch.randn(40)
    laid_out = products.lay_out([weight], budget)
    assert laid_out.kind == (PACKED if budget else TRANSPOSED)
    out = torch.full((rows, 40), torch.nan)  # what was there does not count
    kernels.linear(x.numpy(), laid_out.flat[0], laid_out.kind, added.numpy() if bias else NONE, out.numpy())
    want = x.double() @ weight.double().T + (added.double() if bias else 0)
    torch.testing.assert_close(out.double(), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [TRANSPOSED, PLAIN])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_scipy_multiplies_where_there_is_no_mkl(kind: int, beta: float) -> None:
    x, weight, before = (
        np.float32(torch.randn(7, 5)),
        np.float32(torch.randn(9, 5)),
        np.float32(torch.randn(7, 9)),
    )
    out = before.copy() if beta else np.full((7, 9), np.nan, np.float32)
    matrix = weight if kind == TRANSPOSED else np.ascontiguousarray(weight.T)
    pointers = [a.ctypes.data_as(products.FLOATS) for a in (x, matrix, out)]
    step = 5 if kind == TRANSPOSED else 9
    multiply = products.of_scipy().ctypes
    multiply(ROW_MAJOR, PLAIN, kind, 7, 9, 5, pointers[0], 5, pointers[1], step, beta, pointers[2], 9)
    np.testing.assert_allclose(out, x @ weight.T + (before if beta else 0), rtol=1e-5, atol=1e-5)


PROGRAM = """
from hone.kernels import products
products.mkl = lambda: None
from engines.engine_models import policy, request, tokens_of
from hone.engines import NativeEngine
asked = [request("abc", n=5, max_tokens=12), request("a", n=3, max_tokens=6, path=(1,))]
engine = NativeEngine(policy("qwen2"))
print(tokens_of(engine.run(asked)))
assert (engine._model.laid_out.kind == products.PACKED) == (products.mkl() is not None)
"""


def test_an_engine_samples_the_same_without_mkl() -> None:
    here = Path(__file__).parents[1]
    done = [
        subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
            capture_output=True, text=True, check=True,
        ).stdout
        for text in (PROGRAM, PROGRAM.replace("products.mkl = lambda: None", ""))
    ]  # fmt: skip
    assert done[0] == done[1]
    assert len(done[0]) > 20
