"""What goes to a checker's process and back is JSON, and comes out as it went in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from hone.core.problem import Problem, Verdict
from hone.tasks.wire import packed, unpacked

CHAT = ({"role": "user", "content": "1+1 \ud800 \x00"},)


@pytest.mark.parametrize(
    "value",
    [
        3, 0.1, "text \u2028 \udfff", None, True, [1, [2]], {"a": {"Problem": 1}}, ["Problem", {}],
        Problem("p", {"a": [1]}, "t", level=2.5, oracle="o", meta={"columns": {"": "Verdict"}}),
        Problem(CHAT, None, "t"),
        Verdict(1.0, answer="x", parts={"score": 0.5}, detail="d"),
        Verdict(None, "timeout", detail="late"),
    ],
)  # fmt: skip
def test_values_come_out_as_they_went_in(value):
    assert unpacked(packed("value", value)) == ("value", value)


def test_scalars_of_arrays_become_numbers_and_other_objects_are_refused():
    assert unpacked(packed(Verdict(1.0, parts={"a": np.float32(0.5)})))[0].parts == {"a": 0.5}
    with pytest.raises(TypeError, match="a set is no JSON value"):
        packed({1})


def test_a_pickle_is_not_read():
    with pytest.raises(ValueError):
        unpacked(pickle.dumps(["", "value"]))
