"""Keys that do nothing where they stand: said of keys that the user wrote, and of no others."""

from __future__ import annotations

import pytest
import yaml

import hone
from hone.catalog import build_method
from hone.combinations import inert
from hone.combinations.inert import TABLE
from hone.recipes.load import resolve


def said(keys, source="demo"):
    found = []
    for recipe in resolve(source, keys):
        found += inert(recipe, build_method(recipe))
    return found


EVAL = {"eval.k": [1]}
# (key, the recipe's keys, a part of the reason, keys with which it does something)
CASES = [
    ("epsilon", {"method": "grpo", "epsilon": 0.1}, "nothing is clipped", {"num_iterations": 2}),
    ("epsilon_high", {"method": "gspo", "epsilon_high": 0.1}, "nothing is clipped", {"minibatches": 2}),
    ("objective.dual_clip", {"method": "grpo", "objective.dual_clip": 3}, "every ratio is 1", {"num_iterations": 2}),
    ("epsilon", {"method": "cispo", "epsilon": 0.5}, "every ratio is 1", {"num_iterations": 2}),
    ("num_generations", {"method": "sft", "num_generations": 2}, "one oracle", {"episode.mix": {"direct": 1}}),
    ("max_sampled_tokens", {"method": "sft", "max_sampled_tokens": 9}, "not sampled", {"method": "rloo"}),
    ("max_error_share", {"method": "sft", "max_error_share": 1}, "not judged", {"method": "rloo"}),
    ("mask_truncated_completions", {"method": "sft", "mask_truncated_completions": 1}, "cut off", {"method": "rloo"}),
    ("selectors", {"method": "sft", "selectors": ["mask_truncated"]}, "cut off", {"method": "rloo"}),
    (
        "mask_truncated_completions",
        {"mask_truncated_completions": True, "selectors": ["mask_truncated"]},
        "already",
        {"selectors": []},
    ),
    ("value_coef", {"value_coef": 0.1}, "reads values", {"method": "ppo"}),
    ("schedule_steps", {"schedule_steps": 500}, "never decays", {"schedule": "cosine"}),
    ("schedule", {"schedule": "cosine", "warmup_steps": 500}, "within its warm-up", {"warmup_steps": 5}),
    ("warmup_steps", {"warmup_steps": 500}, "in part: the warm-up takes all updates", {"num_iterations": 5}),
    (
        "one_step_off",
        {"steps": 1, "one_step_off": True, "correction": "importance"},
        "no next step",
        {"steps": 2},
    ),
    ("trust_remote_code", {"trust_remote_code": True}, "without code", {"model": "some/model"}),
    ("eval.every", {"eval.every": 120}, "evaluated at its end anyway", {"eval.every": 119}),
    ("eval.samples_during", {"eval.samples_during": 4, "eval.every": 0}, "between first and last", {"eval.every": 3}),
    ("eval.samples_during", {"eval.samples_during": 70}, "no more than", {"eval.samples_during": 64}),
    ("eval.k", {"eval.k": [65]}, "cannot be estimated", {"eval.samples": 65}),
    ("eval.keep_samples", {"eval.keep_samples": 6401}, "fewer completions", {"eval.keep_samples": 6400}),
    ("checkpoint.every", {"checkpoint.every": 120}, "at its end anyway", {"steps": 121}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "keys", "reason", "mended"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_it_is_said_and_with_another_key_it_is_not(key, keys, reason, mended):
    found = [text for text in said(keys) if text.startswith(f"`{key}` does nothing here: ")]
    assert len(found) == 1, found
    assert reason in found[0]
    assert not [text for text in said({**keys, **mended}) if text.startswith(f"`{key}` ")]


def test_every_row_has_a_case():
    keys = {key for key, *_ in CASES}
    assert {key for row in TABLE for key in row.keys} - keys <= {"steps"}
    reasons = [reason for _, _, reason, _ in CASES]
    assert all(any(reason in row.why for reason in reasons) for row in TABLE)


@pytest.mark.parametrize("name", ["demo", "sprout", "own"])
@pytest.mark.parametrize("keys", [{}, {"steps": 200}])
def test_shipped_recipes_and_cards_are_not_the_users(name, keys):
    assert said({"task": "maze", **keys}, name) == []


def test_a_users_own_file_is_the_users(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("task: maze\nmethod: grpo\nepsilon: 0.3\neval: {every: 500}\n")
    assert [text.split("`")[1] for text in said({}, path)] == ["eval.every", "epsilon"]


def test_what_a_run_resolved_is_not_the_users(tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = resolve({"task": "maze", "method": "grpo", "epsilon": 0.3, "schedule_steps": 9})[0]
    path.write_text(yaml.safe_dump(recipe.dump()))
    assert said({}, path) == []
    assert len(said({"schedule_steps": 8}, path)) == 1


def test_phases_keep_their_own_keys():
    phases = {"task": "maze", "phases": [{"method": "sft", "num_generations": 4}, {"method": "rloo"}]}
    first, second = resolve(phases)
    assert len(inert(first, build_method(first))) == 1
    assert inert(second, build_method(second)) == []


def test_a_recipe_is_the_same_whoever_wrote_it():
    mine, theirs = resolve("demo", {"steps": 120})[0], resolve("demo")[0]
    assert mine.written == {"steps"}
    assert mine.digest() == theirs.digest()
    assert mine.model_copy(update={"steps": 3}).written == {"steps"}


class Notes:
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)

    def plan(self, *_):
        raise InterruptedError


def test_the_python_api_says_it_before_it_opens_anything(tmp_path):
    notes = Notes()
    with pytest.raises(InterruptedError):
        hone.train(
            {"task": "maze", "model": "micro:new", "value_coef": 0.1}, out=tmp_path / "run", progress=notes
        )
    assert notes.texts[0].startswith("`value_coef` does nothing here")
