"""Which scoring passes run, and that the reasons given are those that decide."""

from __future__ import annotations

import pytest
import torch

from builders import CharTokenizer, groups_of, tiny_model
from hone.catalog import build_method
from hone.compute import Ledger
from hone.core.batch import collect
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.budget import TokenBudget
from hone.training.stages import provide, scoring_reasons
from training.starving import starve

CASES = [
    ({}, (0, 0), ["no scoring pass: with one update a batch the training forward's own logprobs serve"]),
    (
        {"minibatches": 4},
        (1, 0),
        ["old logprobs are scored before the update because minibatches=4 make several updates of a batch"],
    ),
    (
        {"num_iterations": 2},
        (1, 0),
        [
            "old logprobs are scored before the update because num_iterations=2 makes several updates of a batch"
        ],
    ),
    ({"method": "ppo", "minibatches": 1, "num_iterations": 1}, (1, 0), ["values are scored before credit"]),
    ({"kl": {"name": "loss", "beta": 0.1}}, (0, 1), ["`kl: loss`"]),
    ({"kl": {"name": "reward", "beta": 0.1}}, (1, 1), ["`kl: reward` makes", "`kl: reward` reads"]),
]


@pytest.mark.parametrize(("keys", "passes", "words"), CASES)
def test_what_is_scored_and_why(keys: dict, passes: tuple[int, int], words: list[str]):
    recipe = resolve({"task": "maze", "method": "rloo", **keys})[0]
    method = build_method(recipe)
    said = scoring_reasons(method, recipe).sentences
    assert len(said) == len(words)
    assert all(part in text for part, text in zip(words, said))
    policy, reference = (TokenPolicy(tiny_model(), CharTokenizer()) for _ in range(2))
    policy.add_value_head()
    batch = collect(groups_of([5], [[3, 4]]))
    calls = starve(policy), starve(reference)
    found = provide(method, recipe, batch, policy, reference, TokenBudget(1000), ledger := Ledger())
    assert tuple(len(made) for made in calls) == passes
    assert ledger.scored_tokens == 12 * sum(passes)
    assert (found.old_logprobs is not None, found.reference_logprobs is not None) == tuple(map(bool, passes))
    assert (found.values is not None) == (keys.get("method") == "ppo")


def test_the_reference_is_scored_under_the_budget_that_the_policy_left():
    keys = {"task": "maze", "kl": {"name": "reward", "beta": 0.1}}
    recipe = resolve(keys)[0]
    policy, reference = (TokenPolicy(tiny_model(), CharTokenizer()) for _ in range(2))
    starve(policy, calls=(1,))
    sizes = starve(reference, above=12)
    batch = collect(groups_of([5], [[3, 4, 4]]))
    budget = TokenBudget(24)
    found = provide(build_method(recipe), recipe, batch, policy, reference, budget, Ledger())
    assert budget.tokens == 12
    assert len(sizes) == 2
    torch.testing.assert_close(found.old_logprobs, found.reference_logprobs, rtol=1e-4, atol=1e-5)
