"""Outcome credit: hand-computed advantages, ragged unsorted groups, constant groups, dtypes, refusals."""

from __future__ import annotations

from itertools import combinations
from math import comb, exp

import pytest
import torch

import hone.credit
from hone.core.errors import RecipeError, RewardError
from hone.credit import (
    Centre,
    Chain,
    Clip,
    Grpo,
    Maxrl,
    PassAtK,
    Reinforce,
    Rloo,
    Rwr,
    Scale,
    StoppedRloo,
    grpo,
    maxrl,
    pass_at_k,
    reinforce,
    rloo,
    rwr,
    stopped_rloo,
)

GROUPS = [5, 2, 5, 9, 2, 5, 2, 2]  # sizes 3, 4 and 1
BINARY = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
PIECES = [
    Reinforce(),
    Reinforce("none"),
    Rloo(),
    Grpo(),
    Grpo(scale="batch"),
    Grpo(scale="none", std="population"),
    Maxrl(),
    Maxrl(floor=0.5),
    Maxrl(order=2),
    Maxrl(order=3, weights="subset", control=1.0),
    PassAtK(1),
    PassAtK(3),
    StoppedRloo(2, 8),
    Rwr(),
    Centre("batch"),
    Scale("group"),
    Clip(-0.5, 0.5),
    Chain((Centre(), Scale(), Clip(-1.0, 1.0))),
]


def tensors(values=BINARY, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype), torch.tensor(GROUPS)


def approx(values):
    return pytest.approx(values, abs=1e-12)


def test_rloo_by_hand():
    assert rloo(*tensors()).tolist() == approx([1, -1 / 3, -1 / 2, 0, 1, -1 / 2, -1 / 3, -1 / 3])


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ("1100", [2 / 3, 2 / 3, -2 / 3, -2 / 3]),  # in the first round: as rloo
        ("1000", [1 / 3, -1 / 3, -1 / 3, -1 / 3]),  # a lone success: N/n
        ("0111", [-1 / 3, 1 / 3, 1 / 3, 1 / 3]),
        ("00000110", [-2 / 6 * 4 / 3] * 5 + [4 / 3] * 2 + [-2 / 6 * 4 / 3]),  # w = (1 - 4/12) 8/4
        ("11111001", [2 / 6 * 4 / 3] * 5 + [-4 / 3] * 2 + [2 / 6 * 4 / 3]),
        ("00001111", [-4 / 3] * 4 + [4 / 3] * 4),
        ("000000000010", [-1 / 11] * 10 + [1.0] + [-1 / 11]),  # w = (1 - 8/12) 12/4 = 1
        ("000000000000", [0.0] * 12),
        ("111111111111", [0.0] * 12),
    ],
)
def test_stopped_rloo_by_hand(values, wanted):
    """Rounds of 4, up to 12."""
    rewards = torch.tensor([float(v) for v in values], dtype=torch.float64)
    found = stopped_rloo(rewards, torch.full((len(values),), 3), per_round=4, num_generations=12)
    assert found.tolist() == approx(wanted)


def test_stopped_rloo_refuses_what_is_neither_right_nor_wrong():
    with pytest.raises(RewardError, match="other than 0 and 1"):
        stopped_rloo(torch.tensor([0.5, 1.0]), torch.tensor([0, 0]))


def test_reinforce_by_hand():
    assert reinforce(*tensors()).tolist() == approx([r - 3 / 8 for r in BINARY])
    assert reinforce(*tensors(), baseline="none").tolist() == BINARY


def test_grpo_by_hand():
    none = [2 / 3, -1 / 4, -1 / 3, 0, 3 / 4, -1 / 3, -1 / 4, -1 / 4]
    assert grpo(*tensors(), scale="none").tolist() == approx(none)
    population = {5: (2 / 9) ** 0.5, 2: (3 / 16) ** 0.5, 9: 1.0}
    wanted = [a / population[g] for a, g in zip(none, GROUPS)]
    assert grpo(*tensors(), std="population", std_epsilon=0.0).tolist() == approx(wanted)
    sample = {5: (1 / 3) ** 0.5, 2: 0.5, 9: 1.0}
    wanted = [a / (sample[g] + 0.1) for a, g in zip(none, GROUPS)]
    assert grpo(*tensors(), std_epsilon=0.1).tolist() == approx(wanted)
    spread = torch.tensor(BINARY, dtype=torch.float64).std().item()
    wanted = [a / (spread + 1e-4) for a in none]
    assert grpo(*tensors(), scale="batch").tolist() == approx(wanted)


def test_maxrl_by_hand():
    assert maxrl(*tensors()).tolist() == approx([2, -1, -1, 0, 3, -1, -1, -1])
    assert maxrl(*tensors(), floor=0.5).tolist() == approx(
        [4 / 3, -1 / 2, -2 / 3, 0, 3 / 2, -2 / 3, -1 / 2, -1 / 2]
    )
    # Failures of the group of 4 (F = 3): C(2,1)/C(3,1) = 2/3; of the group of 3 (F = 2): C(1,1)/C(2,1) = 1/2.
    assert maxrl(*tensors(), order=2).tolist() == approx([1, -2 / 3, -1 / 2, 1, 1, -1 / 2, -2 / 3, -2 / 3])
    # Successes: (N/K)(1 - C(F,2)/C(N,2)) = 3 (1 - 1/3), 1, and 4 (1 - 3/6).
    assert maxrl(*tensors(), order=2, weights="subset").tolist() == approx([2, 0, 0, 1, 2, 0, 0, 0])


@pytest.mark.parametrize("order", [1, 2, 5, 64, 100])
def test_maxrl_orders_against_binomials(order):
    successes, failures = 5, 59
    size = successes + failures
    values = torch.tensor([1.0] * successes + [0.0] * failures, dtype=torch.float64)
    groups = torch.zeros(size, dtype=torch.long)
    top = min(order, failures)
    failure = -sum(comb(failures - 1, k - 1) / comb(size - 1, k - 1) for k in range(2, top + 1))
    got = maxrl(values, groups, order=order)
    assert got[-1].item() == pytest.approx(failure, rel=1e-12)
    t = min(order, size)
    success = (
        size
        * sum(comb(successes - 1, k - 1) * comb(failures, t - k) / k for k in range(1, min(t, successes) + 1))
        / comb(size, t)
    )
    assert maxrl(values, groups, order=order, weights="subset")[0].item() == pytest.approx(success, rel=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("values", [[0.3, -1.0, 2.0, 2.0, 0.3], [1.0, 0.0, 1.0, 0.0, 0.0], [4.0] * 5])
def test_pass_at_k_against_subsets(k, values):
    n = len(values)
    wanted = []
    for i in range(n):
        gains = [
            max([values[i], *(values[j] for j in rest)]) - max(values[j] for j in rest)
            for rest in combinations([j for j in range(n) if j != i], k - 1)
        ]
        wanted.append(n / comb(n, k) * sum(gains))
    got = pass_at_k(torch.tensor(values, dtype=torch.float64), torch.full((n,), 3), k=k)
    assert got.tolist() == pytest.approx(wanted, abs=1e-12)


def test_pass_at_k_in_large_groups():
    size, right, k = 1024, 20, 128
    values = torch.tensor([1.0] * right + [0.0] * (size - right), dtype=torch.float64)
    got = pass_at_k(values, torch.zeros(size, dtype=torch.long), k=k)
    assert got[0].item() == pytest.approx(k * comb(size - right, k - 1) / comb(size - 1, k - 1), rel=1e-9)
    assert got[-1].item() == 0


def test_pass_at_k_needs_a_group_of_k():
    assert pass_at_k(*tensors(), k=4).tolist() == approx([0, 0, 0, 0, 4, 0, 0, 0])


def test_pass_at_one_is_rloo():
    assert torch.equal(pass_at_k(*tensors(), k=1), rloo(*tensors()))


def test_rwr_by_hand():
    values = torch.tensor([1.0, 0.0, 0.5, 0.0], dtype=torch.float64)
    mean = (1 + 2 * exp(-2) + exp(-1)) / 4
    wanted = [1 / mean, exp(-2) / mean, exp(-1) / mean, exp(-2) / mean]
    found = rwr(values, torch.zeros(4), temperature=0.5)
    assert found.tolist() == approx(wanted)
    assert float(found.mean()) == pytest.approx(1)
    assert rwr(values + 7, torch.zeros(4), temperature=0.5).tolist() == approx(wanted)
    assert rwr(1000 * values, torch.zeros(4), temperature=0.01).tolist() == [4, 0, 0, 0]


@pytest.mark.parametrize("piece", PIECES, ids=str)
def test_permutation_and_group_names_do_not_matter(piece):
    values, groups = tensors()
    order = torch.tensor([6, 1, 3, 0, 7, 5, 2, 4])
    plain = piece(values, groups)
    torch.testing.assert_close(piece(values[order], groups[order]), plain[order], rtol=0, atol=1e-12)
    torch.testing.assert_close(piece(values, -7 * groups), plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("piece", PIECES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_input_are_kept(piece, dtype):
    values, groups = tensors(dtype=dtype)
    before = values.clone()
    out = piece(values, groups)
    assert out.dtype == dtype
    assert torch.equal(values, before)
    assert piece(values[:0], groups[:0]).shape == (0,)


@pytest.mark.parametrize(
    "piece", [Rloo(), Grpo(), Grpo(scale="none"), Maxrl(), PassAtK(2), Reinforce(), Rwr()], ids=str
)
def test_equal_values_have_exactly_no_signal(piece):
    """Three times 0.1 has a mean that is not 0.1: only comparing the values finds the group."""
    values = torch.full((3,), 0.1, dtype=torch.float64)
    assert values.mean() != 0.1
    assert piece(values, torch.zeros(3, dtype=torch.long)).tolist() == [0, 0, 0]


def test_scale_leaves_equal_values_alone():
    values = torch.tensor([2.0, 2.0, 1.0, 3.0], dtype=torch.float64)
    out = Scale("group", std_epsilon=0.0)(values, torch.tensor([0, 0, 1, 1]))
    assert out.tolist() == approx([2, 2, 1 / 2**0.5, 3 / 2**0.5])


def test_chain():
    values, groups = tensors()
    assert Chain()(values, groups) is values
    chain = Chain((Centre(), Scale("batch", std_epsilon=0.0), Clip(high=1.0)))
    centred = grpo(values, groups, scale="none")
    assert torch.allclose(chain(values, groups), (centred / centred.std()).clamp(max=1.0))
    assert str(chain) == " → ".join(link.formula() for link in chain.links)
    assert chain.surrogate
    assert not Chain((Rloo(),)).surrogate
    assert Chain((Rloo(), PassAtK(4))).min_group == 4


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_maxrl_refuses_what_is_no_pass_rate(value):
    with pytest.raises(RewardError, match="pass rate"):
        maxrl(torch.tensor([0.0, value]), torch.tensor([0, 0]))


def test_maxrl_orders_need_binary_rewards():
    with pytest.raises(RewardError, match="0 or 1"):
        maxrl(torch.tensor([0.0, 0.5]), torch.tensor([0, 0]), order=2)


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: Reinforce("mean"), "baseline"),
        (lambda: Grpo(scale="groups"), "scale"),
        (lambda: Grpo(std="biased"), "std"),
        (lambda: Grpo(std_epsilon=-1.0), "std_epsilon"),
        (lambda: Maxrl(order=0), "order"),
        (lambda: Maxrl(weights="taylor"), "weights"),
        (lambda: Maxrl(floor=1.0), "floor"),
        (lambda: Maxrl(order=2, floor=0.1), "floor"),
        (lambda: Maxrl(control=1.0), "control"),
        (lambda: PassAtK(0), "k"),
        (lambda: Rwr(0.0), "temperature"),
        (lambda: Clip(1.0, 0.0), "low"),
        (lambda: Centre("problem"), "over"),
    ],
)
def test_wrong_options_are_refused_by_name(build, key):
    with pytest.raises(RecipeError, match=f"`{key}`"):
        build()


def test_every_public_name_is_callable_and_has_a_formula():
    for name in hone.credit.__all__:
        assert callable(getattr(hone.credit, name))
    for piece in PIECES:
        assert repr(piece) == str(piece) == piece.formula()
    assert "0.125" in str(Maxrl(floor=0.125))
    assert "sample std(batch r) + 0.0001" in str(Grpo(scale="batch"))
