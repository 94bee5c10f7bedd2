"""Objectives against scalar formulas, their gradients under clipping, and what they refuse."""

from __future__ import annotations

from math import exp, log
from statistics import fmean

import pytest
import torch

import hone.objectives
from hone.core.errors import RecipeError
from hone.objectives import (
    Cispo,
    Correction,
    EntropyBonus,
    Gspo,
    KlLoss,
    KlReward,
    PolicyGradient,
    PpoClip,
    SoftTarget,
    Supervised,
    cispo,
    gspo,
    importance_weights,
    kl_k1,
    kl_k2,
    kl_k3,
    mismatch,
    policy_gradient,
    ppo_clip,
    supervised,
)

RATIOS = [0.5, 0.9, 1.0, 1.1, 1.5, 4.0, 0.5, 1.25, 1.5, 4.0]
ADVANTAGES = [1.0, -1.0, 2.0, 1.0, 1.0, -0.5, -2.0, 1.0, -1.0, 0.0]
ROLLOUTS = [4, 4, 4, 1, 1, 1, 7, 7, 7, 7]


def inputs():
    old = torch.linspace(-2.0, -0.5, 10, dtype=torch.float64)
    new = (old + torch.tensor(RATIOS, dtype=torch.float64).log()).requires_grad_()
    return new, old, torch.tensor(ADVANTAGES, dtype=torch.float64)


def test_plain_terms():
    new, old, advantages = inputs()
    assert torch.equal(policy_gradient(new, old, advantages), -advantages * new)
    assert torch.equal(supervised(new, old, advantages), -new)
    assert torch.equal(Supervised()(new, None, None, torch.tensor(ROLLOUTS)), -new)
    assert torch.equal(SoftTarget()(new, None, None, torch.tensor(ROLLOUTS)), -new)


@pytest.mark.parametrize("dual_clip", [None, 3.0])
@pytest.mark.parametrize("epsilon_high", [None, 0.28])
def test_ppo_clip_against_the_formula(epsilon_high, dual_clip):
    new, old, advantages = inputs()
    high = 1.2 if epsilon_high is None else 1.28
    wanted = []
    for ratio, a in zip(RATIOS, ADVANTAGES):
        gain = min(ratio * a, min(max(ratio, 0.8), high) * a)
        wanted.append(-(max(gain, dual_clip * a) if dual_clip and a < 0 else gain))
    terms = ppo_clip(new, old, advantages, epsilon_high=epsilon_high, dual_clip=dual_clip)
    assert terms.tolist() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    "piece", [PpoClip(), PpoClip(epsilon_high=0.28), PpoClip(dual_clip=3.0), Gspo()], ids=str
)
def test_clipped_names_the_terms_without_gradient(piece):
    new, old, advantages = inputs()
    rollouts = torch.tensor(ROLLOUTS)
    if isinstance(piece, Gspo):  # one advantage a rollout
        advantages = torch.tensor([1.0] * 3 + [-1.0] * 3 + [1.0] * 4, dtype=torch.float64)
    piece(new, old, advantages, rollouts).sum().backward()
    clipped = piece.clipped(new.detach(), old, advantages, rollouts)
    assert clipped.any()
    assert not clipped.all()
    silent = (new.grad == 0) & (advantages != 0)
    assert torch.equal(clipped, silent)


def test_gspo_against_the_formula():
    new, old, advantages = inputs()
    terms = gspo(new, old, advantages, torch.tensor(ROLLOUTS), epsilon=0.1, epsilon_high=0.2)
    for t, (rollout, a) in enumerate(zip(ROLLOUTS, ADVANTAGES)):
        ratio = exp(fmean(log(r) for r, other in zip(RATIOS, ROLLOUTS) if other == rollout))
        wanted = -min(ratio * a, min(max(ratio, 0.9), 1.2) * a)
        assert terms[t].item() == pytest.approx(wanted, abs=1e-12)


def test_cispo_weights_are_limited_and_keep_their_gradient():
    new, old, advantages = inputs()
    piece = Cispo(epsilon=0.3, epsilon_high=0.4)
    cispo(new, old, advantages, epsilon=0.3, epsilon_high=0.4).sum().backward()
    wanted = [-min(max(r, 0.7), 1.4) * a for r, a in zip(RATIOS, ADVANTAGES)]
    assert new.grad.tolist() == pytest.approx(wanted, abs=1e-12)
    limited = piece.clipped(new, old, advantages, torch.tensor(ROLLOUTS)).tolist()
    assert limited == [not 0.7 <= r <= 1.4 for r in RATIOS]


def test_only_limits_clip():
    new, old, advantages = inputs()
    for piece in (
        PolicyGradient(),
        Supervised(),
        PpoClip(epsilon=1.0, epsilon_high=5.0),
        Cispo(epsilon_high=5.0),
    ):
        assert not piece.clipped(new, old, advantages, torch.tensor(ROLLOUTS)).any()


def test_kl_by_hand():
    new, ref = torch.tensor([log(0.5)], dtype=torch.float64), torch.tensor([log(0.2)], dtype=torch.float64)
    assert kl_k1(new, ref).item() == pytest.approx(log(2.5))
    assert kl_k2(new, ref).item() == pytest.approx(log(2.5) ** 2 / 2)
    assert kl_k3(new, ref).item() == pytest.approx(0.4 - 1 + log(2.5))
    assert KlReward(0.5)(new, ref).item() == pytest.approx(-0.5 * log(2.5))
    with pytest.raises(ValueError, match="which rollout"):
        KlLoss(0.5, level="sequence")(new, ref)


def test_importance_weights_by_hand():
    old = torch.log(torch.tensor([0.5, 0.9, 0.2, 0.8], dtype=torch.float64)).requires_grad_()
    sampler = torch.log(torch.tensor([0.2, 0.6, 0.4, 0.8], dtype=torch.float64))
    rollouts = torch.tensor([3, 1, 3, 1])
    cases = {
        ("token", "truncate"): [2.0, 1.5, 0.5, 1.0],
        ("token", "mask"): [0.0, 1.5, 0.5, 1.0],
        ("sequence", "truncate"): [1.25, 1.4, 1.25, 1.4],
        ("sequence", "mask"): [1.25, 0.0, 1.25, 0.0],
    }
    for (level, mode), wanted in cases.items():
        threshold = 2.0 if level == "token" else 1.4
        weights = importance_weights(old, sampler, rollouts, level=level, mode=mode, threshold=threshold)
        assert weights.tolist() == pytest.approx(wanted)
        assert not weights.requires_grad
        assert Correction(level, mode).couples == level
    measured = mismatch(old, sampler)
    ratios = [2.5, 1.5, 0.5, 1.0]
    assert measured["mean_ratio"] == pytest.approx(fmean(ratios))
    assert measured["max_abs_difference"] == pytest.approx(log(2.5))
    assert measured["kl"] == pytest.approx(fmean(r - 1 - log(r) for r in ratios))


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: PpoClip(epsilon=1.5), "epsilon"),
        (lambda: PpoClip(epsilon_high=-0.1), "epsilon_high"),
        (lambda: PpoClip(dual_clip=1.1), "dual_clip"),
        (lambda: Gspo(epsilon_high=-1.0), "epsilon_high"),
        (lambda: Cispo(epsilon=2.0), "epsilon"),
        (lambda: KlLoss(-0.1), "beta"),
        (lambda: KlLoss(0.1, estimator="k4"), "estimator"),
        (lambda: KlLoss(0.1, estimator="k3", level="sequence"), "level"),
        (lambda: KlReward(-0.1), "beta"),
        (lambda: Correction(level="rollout"), "level"),
        (lambda: Correction(mode="clip"), "mode"),
        (lambda: Correction(threshold=0.5), "threshold"),
    ],
)
def test_wrong_options_are_refused_by_name(build, key):
    with pytest.raises(RecipeError, match=f"`{key}`"):
        build()


def test_every_public_name_is_callable_and_has_a_formula():
    for name in hone.objectives.__all__:
        assert callable(getattr(hone.objectives, name))
    for piece in (
        PolicyGradient(),
        PpoClip(),
        Gspo(),
        Cispo(),
        SoftTarget(),
        Supervised(),
        KlLoss(0.1),
        EntropyBonus(0.1),
    ):
        assert repr(piece) == piece.formula()
    assert "0.8, 1.28" in str(PpoClip(epsilon_high=0.28))
