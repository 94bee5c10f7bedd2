"""Combinations without meaning: each is refused with its reason, and its nearest neighbour that has one is not."""

from __future__ import annotations

from typing import Any

import pytest

from hone.combinations import abstractions, guided
from hone.combinations.refused import REFUSED
from hone.core.errors import RecipeError
from hone.recipes.load import resolve

DEMONSTRATED = {"method": "sft"}
GAE = {"method": "ppo"}
STOPPED = {"credit": "stopped_rloo", "reduction": "problem_sum"}
# (the check, keys without meaning, a part of the reason, keys beside them that have one)
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("demonstrations_with_credit", {**DEMONSTRATED, "credit": "rloo"}, "carry no rewards", DEMONSTRATED),
    ("demonstrations_with_credit", {**DEMONSTRATED, "correction": "importance"}, "sampler logprobs", DEMONSTRATED),
    (
        "demonstrations_with_kl",
        {**DEMONSTRATED, "kl": {"name": "loss", "beta": 0.1}},
        "demonstrations are not sampled",
        {"kl": {"name": "loss", "beta": 0.1}},
    ),
    (
        "demonstrations_with_kl",
        {**DEMONSTRATED, "kl": {"name": "reward", "beta": 0.1}},
        "the policy's own samples",
        {**DEMONSTRATED, "kl": "none"},
    ),
    ("demonstrations_ahead", {**DEMONSTRATED, "one_step_off": True}, "about sampling", DEMONSTRATED),
    (
        "ahead_without_correction",
        {"one_step_off": True},
        "sampled from older weights",
        {"one_step_off": True, "correction": "importance"},
    ),
    ("imitation_of_oneself", {"objective": "supervised"}, "reads no `credit: rloo`", {"objective": "ppo_clip"}),
    (
        "imitation_of_oneself",
        {"objective": "supervised", "credit": "none"},
        "expected update is zero",
        {"objective": "supervised", "credit": "none", "selectors": ["mask_truncated"]},
    ),
    ("measured_by_nobody", {"rewards": ["verifier", "progress"]}, "forces none", {"method": "mrt"}),
    (
        "measured_by_nobody",
        {"selectors": ["most_progress"]},
        "`selectors: most_progress` reads",
        {"method": "mrt", "selectors": ["most_progress"]},
    ),
    ("progress_unread", {"method": "mrt", "credit": "gae"}, "gives none", {"method": "mrt", "credit": "grpo"}),
    (
        "compared_with_nobody",
        {"rewards": ["verifier", "termination_baseline"]},
        "made to answer at once",
        {"rewards": ["verifier", "termination_baseline"], "episode": "continuation"},
    ),
    (
        "compared_with_nobody",
        {"episode": "continuation", "num_generations": 1, "credit": "reinforce"},
        "half of the rollouts",
        {"episode": "continuation", "num_generations": 2, "credit": "reinforce"},
    ),
    (
        "reshaped_too_early",
        {"rewards": ["length_penalty", "verifier"]},
        "no `verifier` comes before",
        {"rewards": ["verifier", "length_penalty"]},
    ),
    (
        "reshaped_pass_rates",
        {"rewards": ["verifier", "length_penalty"], "method": "maxrl"},
        "other than 0 and 1",
        {"rewards": ["verifier"], "method": "maxrl"},
    ),
    (
        "trimmed_and_reinforced",
        {"method": "mrt", "trim": True},
        "no samples of it",
        {"method": "mrt", "trim": True, "objective": "supervised", "credit": "none", "rewards": ["verifier"],
         "selectors": ["most_progress"]},
    ),
    (
        "targets_without_actions",
        {"method": "ricol"},
        "`actions` lists none",
        {"method": "ricol", "actions": ["U", "D"]},
    ),
    (
        "targets_that_nobody_writes",
        {"method": "ricol", "actions": ["U", "D"], "rewards": ["verifier"]},
        "no piece of `rewards` writes any",
        {"method": "ricol", "actions": ["U", "D"]},
    ),
    (
        "targets_that_nobody_writes",
        {"method": "ricol", "actions": ["U", "D"], "objective": "policy_gradient", "credit": "rloo"},
        "does not read them",
        {"objective": "policy_gradient", "credit": "rloo"},
    ),
    ("no_credit", {"credit": "none"}, "reinforced alike", {"credit": "rloo"}),
    ("none_in_a_chain", {"credit": ["centre", "none"]}, "`none` among its links", {"credit": ["centre", "scale"]}),
    ("token_credit_in_a_chain", {"credit": ["gae", "scale"]}, "one value for each rollout", {"credit": "gae"}),
    ("pass_rates_of_something_else", {"credit": ["centre", "maxrl"]}, "as pass rates", {"credit": ["maxrl", "scale"]}),
    (
        "pass_rates_of_something_else",
        {"credit": ["maxrl", "scale"], "kl": {"name": "reward", "beta": 0.1}},
        "Use `kl: loss`",
        {"credit": ["maxrl", "scale"], "kl": {"name": "loss", "beta": 0.1}},
    ),
    ("small_groups", {"num_generations": 1}, "groups of at least 2", {"num_generations": 1, "credit": "reinforce"}),
    ("small_groups", {"method": "pass_at_k", "k": 17}, "at least 17", {"method": "pass_at_k", "k": 16}),
    ("small_groups", {"method": "maxrl", "order": 17}, "at least 17", {"method": "maxrl", "order": 16}),
    (
        "small_groups",
        {"num_generations": 1, "credit": ["centre", "scale"]},
        "groups of at least 2",
        {"num_generations": 1, "credit": [{"name": "centre", "over": "batch"}, "scale"]},
    ),
    (
        "small_groups",
        {"num_generations": 1, "credit": {"name": "scale", "over": "group"}},
        "groups of at least 2",
        {"num_generations": 1, "credit": "scale"},
    ),
    (
        "small_groups",
        {"curriculum": "variance_optimal", "method": "maxrl", "order": 4, "reduction": "problem_sum"},
        "can leave a problem with 2",
        {"curriculum": {"name": "variance_optimal", "min_generations": 4}, "method": "maxrl", "order": 4,
         "reduction": "problem_sum"},
    ),
    (
        "unasked_verdicts",
        {**DEMONSTRATED, "curriculum": "dynamic_sampling"},
        "demonstrations are not judged",
        {"curriculum": "dynamic_sampling"},
    ),
    (
        "unasked_verdicts",
        {"curriculum": "early_stop", **STOPPED, "one_step_off": True, "correction": "importance"},
        "before the one before it is known",
        {"curriculum": "early_stop", **STOPPED, "correction": "importance"},
    ),
    (
        "stopped_groups",
        {"curriculum": "early_stop", "method": "pass_at_k", "k": 2, "reduction": "problem_sum"},
        "counts the subsets",
        {"curriculum": "early_stop", "method": "maxrl", "reduction": "problem_sum"},
    ),
    (
        "stopped_groups",
        {"curriculum": "early_stop", "method": "maxrl", "order": 2, "reduction": "problem_sum"},
        "credit: stopped_rloo",
        {"curriculum": "early_stop", **STOPPED},
    ),
    ("stopped_groups", STOPPED, "those of `curriculum: uniform` do not", {"credit": "rloo"}),
    (
        "unequal_groups_weighed_by_size",
        {"curriculum": "variance_optimal"},
        "reduction=problem_sum",
        {"curriculum": "variance_optimal", "reduction": "problem_sum"},
    ),
    (
        "unequal_groups_weighed_by_size",
        {"curriculum": "early_stop", "credit": "stopped_rloo", "reduction": "token_mean"},
        "reduction=problem_token_mean",
        {"curriculum": "early_stop", **STOPPED},
    ),
    (
        "signal_without_variance",
        {"curriculum": "dynamic_sampling", "method": "maxrl", "order": 2},
        "learns from them",
        {"curriculum": "dynamic_sampling", "method": "maxrl"},
    ),
    (
        "signal_without_variance",
        {"selectors": ["zero_variance"], "method": "ppo"},
        "learns from them",
        {"selectors": ["zero_variance"], "method": "grpo"},
    ),
    (
        "signal_without_variance",
        {"selectors": ["zero_variance"], "credit": "reinforce"},
        "learns from them",
        {"selectors": ["mask_truncated"], "credit": "reinforce"},
    ),
    (
        "two_numbers_for_one",
        {"curriculum": "early_stop", "reduction": "problem_sum", "credit": {"name": "stopped_rloo", "per_round": 2}},
        "Set `curriculum.round`",
        {"curriculum": {"name": "early_stop", "round": 2}, **STOPPED},
    ),
    (
        "small_batch",
        {"num_generations": 1, "problems_per_step": 1, "credit": "reinforce"},
        "every advantage would be zero",
        {"num_generations": 1, "problems_per_step": 1, "credit": {"name": "reinforce", "baseline": "none"}},
    ),
    (
        "small_batch",
        {"num_generations": 1, "problems_per_step": 1, "credit": [{"name": "centre", "over": "batch"}]},
        "a step has 1",
        {"num_generations": 1, "problems_per_step": 2, "credit": [{"name": "centre", "over": "batch"}]},
    ),
    ("empty_minibatches", {"minibatches": 9}, "8 groups to deal out", {"minibatches": 8}),
    ("weightless_kl", {"kl": {"name": "loss", "beta": 0}}, "weigh nothing", {"kl": {"name": "loss", "beta": 1e-3}}),
    ("untrained_values", {**GAE, "value_coef": 0}, "never be learnt", {**GAE, "value_coef": 0.1}),
    (
        "two_numbers_for_one",
        {"curriculum": {"name": "uniform", "num_generations": 4}},
        "the recipe's own `num_generations`",
        {"curriculum": {"name": "uniform", "seed": 4}},
    ),
    (
        "decay_that_ends_early",
        {"schedule": "cosine", "schedule_steps": 99},
        "the rest would train nothing",
        {"schedule": "cosine", "schedule_steps": 100},
    ),
    (
        "decay_that_ends_early",
        {"schedule": "linear", "schedule_steps": 200, "warmup_steps": 200},
        "to 0 at once",
        {"schedule": "linear", "schedule_steps": 99, "max_sampled_tokens": 1000},
    ),
    ("decay_beyond_zero", {"learning_rate": 0.1, "weight_decay": 10}, "turn them round", {"weight_decay": 10}),
    (
        "beyond_memory",
        {"num_generations": 1_000_000, "problems_per_step": 100},
        "A step would sample up to 100,000,000 × 64 tokens",
        {"num_generations": 1000, "problems_per_step": 100},
    ),
    (
        "beyond_memory",
        {"eval": {"problems": 1_000_000, "samples": 100}},
        "An evaluation would sample",
        {"eval": {"problems": 1_000_000, "samples": 16}},
    ),
    ("majority_of_few", {"method": "srt", "num_generations": 2}, "a tie that", {"method": "srt", "num_generations": 3}),
    (
        "several_rewards_of_answers",
        {"rewards": ["verifier", "majority"], "method": "srt"},
        "each of them replaces the reward",
        {"rewards": ["majority"], "method": "srt"},
    ),
    (
        "labels_that_are_hidden",
        {"method": "srt", "curriculum": "dynamic_sampling"},
        "read the labels",
        {"method": "srt", "curriculum": "variance_optimal", "reduction": "problem_sum", "min_generations": 3},
    ),
    (
        "training_on_the_test",
        {"curriculum": "test_time"},
        "read their labels",
        {"curriculum": "test_time", "method": "srt"},
    ),
    (
        "training_on_the_test",
        {"curriculum": "test_time", "method": "srt", "eval": {"task": "countdown"}},
        "`eval.task` evaluates another",
        {"curriculum": "test_time", "method": "srt"},
    ),
]  # fmt: skip


def test_every_check_has_a_case():
    elsewhere = (*guided.CHECKS, *abstractions.CHECKS)  # which have test files of their own
    assert {check.__name__ for check in REFUSED if check not in elsewhere} == {case[0] for case in CASES}


@pytest.mark.parametrize(
    ("check", "bad", "reason", "good"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_it_is_refused_and_its_neighbour_is_not(check, bad, reason, good):
    with pytest.raises(RecipeError, match=r"\.$") as caught:
        resolve({"task": "maze", **bad})
    assert reason in str(caught.value)
    assert caught.value.mend
    resolve({"task": "maze", **good})


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"beta": 0.1}, "No piece of this recipe has an option `beta`.*`kl: loss`, `kl: reward`"),
        ({"kl": "none", "beta": 0.1}, "No piece of this recipe has an option `beta`"),
        ({"kl": "loss"}, "`kl.beta` is not set"),
        ({"epsilonn": 0.1}, "Did you mean `epsilon`"),
        ({"num_generation": 4}, "Did you mean `num_generations`"),
        ({"eval": {"evry": 4}}, "`eval.evry` is not a key. Did you mean `every`"),
        ({"credit": {"name": "grpo", "scal": "none"}}, "`credit.scal` is not an.*Did you mean `scale`"),
        ({"credit": {"name": "clip"}}, "without a limit nothing is clipped"),
        ({"credit": {"name": "clip", "low": 1, "high": 1}}, "below `high`"),
        ({"credit": {"name": "clip", "low": float("nan")}}, "not a number"),
        ({"kl": {"name": "loss", "beta": float("inf")}}, "finite"),
        ({"method": "grpo", "std": "sample", "credit": {"std": "population"}}, "one option, set twice"),
        ({"top_p": 0.9}, "the trainer scores the whole vocabulary"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"betas": [0.9, 1.0]}, "`betas.1` is 1.0"),
        ({"stop": ["a", ""]}, "at least 1 character"),
        ({"eval": {"k": [0]}}, "`eval.k.0` is 0"),
        ({"num_generations": 10**12}, "less than or equal to"),
        ({"max_tokens_per_microbatch": 10**400}, "at least 1 and at most 2,147,483,648"),
        ({"seed": 1 << 64}, "less than or equal to"),
        ({"num_generations": 10**5000}, "thousands of digits|less than or equal"),
        ({"model": "x" * 100_000, "steps": -1}, "`steps` is -1"),
        ({"schedule": "x" * 100_000}, "…"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_keys_and_values_that_no_part_has_a_use_for(keys, reason):
    with pytest.raises(RecipeError, match=reason) as caught:
        resolve({"task": "maze", **keys})
    assert len(str(caught.value)) < 1000
