"""Which keys make a stored run another run than the recipe's."""

from __future__ import annotations

from hone.recipes.load import resolve
from hone.training.same import differences

RECIPE = {"task": "maze", "model": "micro:new", "eval": {"problems": 4, "samples": 4, "k": [1, 4]}}


def recipe(**changed):
    return resolve(RECIPE, changed)[0]


def test_a_key_that_did_not_exist_had_its_default():
    stored = recipe().dump()
    del stored["one_step_off"], stored["guards"]["bundles"], stored["eval"]["keep_samples"]
    assert differences(recipe(), stored) == ""
    assert differences(recipe(num_iterations=2), stored) == "`num_iterations` was 1, now 2"


def test_what_memory_settled_is_adopted():
    stored = recipe().dump() | {"max_tokens_per_microbatch": 4096, "recompute_activations": False}
    assert differences(recipe(), stored) == ""
    assert "`max_tokens_per_microbatch`" in differences(recipe(max_tokens_per_microbatch=512), stored)


def test_only_the_last_evaluation_is_the_result():
    stored = recipe().dump()
    beside = {"eval.every": 5, "eval.before": False, "eval.samples_during": 1, "checkpoint.every": 3}
    assert differences(recipe(**beside), stored) == ""
    assert differences(recipe(**{"eval.samples": 8}), stored) == "`eval.samples` was 4, now 8"
    ahead = {"one_step_off": True, "correction": "importance"}
    rests = differences(recipe(**ahead, **beside), recipe(**ahead).dump())
    assert "`eval`" in rests
    assert "`checkpoint`" in rests


def test_a_run_of_another_version_is_another_run():
    assert "another version" in differences(recipe(), recipe().dump() | {"gone": 1})
