"""What an update and a scoring pass do when memory runs out: the same result in smaller passes, or a clear error."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from builders import CharTokenizer, groups_of, tiny_model
from hone.catalog import build_method
from hone.compute import Ledger
from hone.core.batch import Batch, collect
from hone.core.errors import PolicyError
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.budget import Shortage, TokenBudget
from hone.training.scoring import score
from hone.training.stages import assign
from hone.training.update import Tally, UpdateSettings, update
from training.starving import starve

TOLD = list[tuple[Shortage, int, int]]
# Two prompts of 5 and 7 tokens with three answers each: 35 stored tokens.
PROMPTS, ANSWERS = [5, 7], [[3, 4, 5], [2, 4, 5]]


ONCE, FOUR = UpdateSettings(1.0, 1, 1, 1.0), UpdateSettings(1.0, 2, 2, 1.0)


def policy() -> TokenPolicy:
    return TokenPolicy(tiny_model("qwen3"), CharTokenizer())


def method(**keys):
    return build_method(resolve({"task": "maze", "model": "micro:new", "method": "rloo", **keys})[0])


def batch(chosen) -> Batch:
    found = collect(groups_of(PROMPTS, ANSWERS))
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    return assign(chosen, dataclasses.replace(found, rewards=rewards))


def trained(
    subject: TokenPolicy, tokens: int, settings: UpdateSettings, **keys
) -> tuple[torch.Tensor, Tally, Ledger, TOLD, int]:
    """Weights after the updates of one batch, their tally, what was counted and what was told."""
    chosen, ledger, told = method(**keys), Ledger(), []
    budget = TokenBudget(tokens, lambda *event: told.append(event))
    optimizer = torch.optim.AdamW(subject.parameters(), lr=0.0)
    tally = update(subject, optimizer, lambda _: 1e-2, chosen, batch(chosen), settings, budget, ledger)
    weights = torch.cat([p.detach().flatten() for p in subject.parameters()])
    return weights, tally, ledger, told, budget.tokens


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("backward", [False, True])
def test_an_update_in_which_memory_ran_out_is_the_update_under_half_the_budget(call: int, backward: bool):
    """Whichever of its micro-batches fails, nothing of the attempt is left in gradient, statistics or counts."""
    plain = trained(policy(), 9, ONCE)
    starving = policy()
    sizes = starve(starving, calls=(call,), backward=backward)
    weights, tally, ledger, told, tokens = trained(starving, 18, ONCE)
    torch.testing.assert_close(weights, plain[0], rtol=0, atol=1e-6)
    assert tally == plain[1]
    assert [(found.where, before, after) for found, before, after in told] == [("update", 18, 9)]
    assert "\n" not in told[0][0].detail
    assert tokens == 9
    assert ledger.lost_tokens == sum(sizes[:call])
    assert dataclasses.replace(ledger, lost_tokens=0) == plain[2]


def test_the_updates_before_a_shortage_stay_and_those_after_it_keep_the_smaller_budget():
    starving = policy()
    sizes = starve(starving, calls=(2,))
    found = trained(starving, 18, FOUR)
    assert found[2].updates == 4
    assert len(found[3]) == 1
    assert max(sizes[2:]) <= 12  # one unit of 7 + 5 is larger than the budget of 9
    assert max(sizes[:2]) > 12


def test_every_shortage_halves_again():
    """35 tokens in one pass do not fit, 17 and 18 do not either; below 11 tokens every pass has one answer."""
    starving = policy()
    sizes = starve(starving, above=14)
    _, _, ledger, told, _ = trained(starving, 80, ONCE)
    assert [(before, after) for _, before, after in told] == [(80, 20), (20, 10)]
    assert ledger.lost_tokens == 35 + 17
    assert sizes == [35, 17, 8, 9, 10, 9, 11, 12]


def test_a_rollout_that_does_not_fit_alone_is_a_clear_error():
    starving = policy()
    starve(starving, above=9)
    with pytest.raises(
        PolicyError, match=r"update pass of one unit alone.*10 tokens.*CUDA out of memory"
    ) as caught:
        trained(starving, 80, ONCE)
    for mend in ("max_completion_length", "recompute_activations=true", "bfloat16", "smaller model"):
        assert mend in caught.value.mend
    assert all(p.grad is None for p in starving.parameters())


def test_a_coupled_group_is_one_unit():
    budget = TokenBudget(100)
    with pytest.raises(PolicyError, match="one unit alone, which has 17 tokens"):
        budget.halve(Shortage("update", 17, 17, False, "no room"))
    assert budget.tokens == 100


def test_other_errors_pass_through():
    subject = policy()
    subject.score = lambda *args, **options: torch.ones(2, 3) @ torch.ones(2, 3)  # type: ignore
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trained(subject, 18, ONCE)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        score(subject, groups_of(PROMPTS, ANSWERS), 1.0, TokenBudget(18), Ledger())


def test_a_shortage_in_the_optimizer_is_named():
    class Full(torch.optim.SGD):
        def step(self, closure=None):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    subject, chosen = policy(), method()
    with pytest.raises(PolicyError, match="optimizer's step"):
        update(
            subject, Full(subject.parameters(), lr=0.0), lambda _: 0.0, chosen, batch(chosen),
            ONCE, TokenBudget(100), Ledger(),
        )  # fmt: skip


@pytest.mark.parametrize("call", [1, 2, 3])
def test_scoring_goes_on_with_what_is_not_scored_yet(call: int):
    trajectories = groups_of(PROMPTS, ANSWERS)
    plain = score(policy(), trajectories, 1.0, TokenBudget(1000), Ledger()).logprobs
    starving, ledger, told = policy(), Ledger(), []
    sizes = starve(starving, calls=(call,))
    budget = TokenBudget(14, lambda *event: told.append(event))
    found = score(starving, trajectories, 1.0, budget, ledger).logprobs
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)
    assert [(event[0].where, *event[1:]) for event in told] == [("scoring", 14, 7)]
    assert ledger.lost_tokens == sizes[call - 1]
    assert ledger.scored_tokens == sum(sizes) - sizes[call - 1]
    assert ledger.trained_tokens == 0


def test_scoring_one_rollout_that_does_not_fit_is_a_clear_error():
    starving = policy()
    starve(starving, above=9)
    with pytest.raises(PolicyError, match=r"scoring pass of one unit alone, which has 10 tokens"):
        score(starving, groups_of(PROMPTS, ANSWERS), 1.0, TokenBudget(1000), Ledger())
