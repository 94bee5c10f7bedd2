from __future__ import annotations

import pytest
import torch

from builders import CharTokenizer, tiny_model
from hone.policies import fingerprint as module
from hone.policies.fingerprint import fingerprint
from hone.policies.loading import load_policy
from hone.policies.token_policy import TokenPolicy


def policy(seed: int = 0) -> TokenPolicy:
    return TokenPolicy(tiny_model(seed=seed), CharTokenizer())


def weight(made: TokenPolicy) -> torch.Tensor:
    return made.model.model.layers[1].mlp.down_proj.weight.data


def flip(made):
    weight(made).view(torch.int32)[3, 5] ^= 1  # the last bit of one number


def swap(made):
    weight(made)[0, [0, 1]] = weight(made)[0, [1, 0]]


def negate_zero(made):
    weight(made)[0, 0] = -0.0


def halve_dtype(made):
    made.model.half()


def add_head(made):
    made.add_value_head()


def test_equal_weights_have_equal_fingerprints():
    assert fingerprint(policy()) == fingerprint(policy())
    assert fingerprint(policy()) != fingerprint(policy(1))


@pytest.mark.parametrize("change", [flip, swap, negate_zero, halve_dtype, add_head])
def test_the_least_change_shows(change):
    made = policy()
    if change is negate_zero:
        weight(made)[0, 0] = 0.0
    before = fingerprint(made)
    change(made)
    assert fingerprint(made) != before


def test_it_does_not_depend_on_how_it_is_cut(monkeypatch):
    whole = fingerprint(policy())
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert fingerprint(policy()) == whole


def test_numbers_that_are_none_have_one_as_well():
    made = policy()
    weight(made)[0, 0] = float("nan")
    assert fingerprint(made) == fingerprint(made) != fingerprint(policy())


def test_it_survives_a_folder(tmp_path):
    made = load_policy("micro:new", dtype="float32")
    made.add_value_head()
    made.save(tmp_path)
    assert fingerprint(load_policy(str(tmp_path), dtype="float32")) == fingerprint(made)
