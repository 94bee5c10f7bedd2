"""What RLAD's pieces refuse to be combined with."""

from __future__ import annotations

import pytest

from hone.combinations.abstractions import CHECKS
from hone.core.errors import RecipeError
from hone.recipes.load import resolve

NO_BARE = {"name": "abstraction", "abstractions": 4, "bare": 0}
OFFLINE = {
    "selectors": ["helpful"],
    "objective": "supervised",
    "credit": "none",
    "kl": "none",
    "entropy_coef": 0.0,
}


CASES = [
    ("abstractions_unjudged", {"rewards": ["verifier"]}, "says what they are worth"),
    ("abstractions_unjudged", {"method": "grpo", "rewards": ["verifier", "abstraction"]}, "samples none"),
    (
        "abstractions_in_rounds",
        {"curriculum": "early_stop", "reduction": "problem_token_mean"},
        "shares a fixed number",
    ),
    (
        "few_abstractions",
        {"episode": {"name": "abstraction", "abstractions": 1, "bare": 0}},
        "at least 2 abstractions",
    ),
    ("masked_bare_with_gradient", {"credit": "reinforce"}, "a group of zeros a gradient"),
    (
        "masked_bare_with_gradient",
        {"credit": {"name": "maxrl", "order": 2, "control": 1.0}},
        "a group of zeros a gradient",
    ),
    ("masked_bare_with_gradient", {"credit": "gae", "objective": "ppo_clip"}, "a group of zeros a gradient"),
    ("masked_bare_for_nothing", {"kl": "none"}, "sampled for nothing"),
    ("helpful_than_what", {**OFFLINE, "episode": NO_BARE}, "`episode.bare` is 0"),
]


def test_every_check_has_a_case():
    assert {check.__name__ for check in CHECKS} == {case[0] for case in CASES}


@pytest.mark.parametrize(("check", "keys", "words"), CASES)
def test_refused(check, keys, words):
    with pytest.raises(RecipeError, match=words):
        resolve({"task": "maze", "method": "rlad", **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"credit": "rloo"},
        {"credit": "maxrl"},
        {"credit": "reinforce", "mask_bare": False},
        {"kl": "none", "episode": NO_BARE},
        {"kl": {"name": "reward", "beta": 0.01}, "credit": "rloo"},
        OFFLINE,
        {"episode": {"name": "abstraction", "abstractions": 1}, "models": {"abstractor": {"model": "micro"}}},
    ],
)
def test_allowed(keys):
    resolve({"task": "maze", "method": "rlad", **keys})
