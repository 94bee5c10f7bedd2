"""A series refuses what is no run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hone.compute.series import check_comparable
from hone.core.errors import DataError
from synthetic import run

ONE = run(total=160)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compute": np.array([0.0, 32, 64, 64, 96])}, "does not increase at reading 3"),
        ({"compute": np.array([-1.0, 32, 64, 96, 128])}, "below 0"),
        ({"compute": np.array([0.0, 32, 64, np.inf, 128])}, "not finite"),
        ({"compute": np.array([0.0, 32])}, "shape"),
        ({"reward": np.array([0, 0.1, 0.2, 0.3, 1.1])}, "outside"),
        ({"reward": np.array([0, 0.1, 0.2, 0.3, -0.1])}, "outside"),
        ({"reward": np.array([0, 0.1, 0.2, 0.3, np.nan])}, "not finite"),
        ({"problems": np.array([8, 8, 0, 8, 8])}, "problems"),
        ({"problems": np.array([8, 8])}, "problems"),
        ({"unit": "hours"}, "Units are rollouts"),
    ],
)
def test_what_is_no_run_is_refused(change, words):
    with pytest.raises(DataError, match=words):
        replace(ONE, **change)


def test_runs_with_other_units_or_metrics_are_not_comparable():
    check_comparable([ONE, run(seed=1)])
    with pytest.raises(DataError, match="differ in unit: flops, rollouts"):
        check_comparable([ONE, replace(ONE, unit="flops")])
    with pytest.raises(DataError, match="differ in metric"):
        check_comparable([ONE, replace(ONE, metric="pass@4")])
    with pytest.raises(DataError, match="no series"):
        check_comparable([])
