"""By enumeration: what each KL estimator, entropy bonus and importance correction makes the policy follow."""

from __future__ import annotations

import pytest
import torch

from exact.tabular import ANSWERS, Question, close, expected_ascent, gradient, parameters
from hone.core.counting import count
from hone.core.errors import RecipeError
from hone.credit import Rloo, gae
from hone.objectives import (
    Correction,
    EntropyBonus,
    KlLoss,
    KlReward,
    kl_k1,
    kl_k2,
    kl_k3,
    sequence_mean,
)

QUESTION = Question((0.0, 1.0, 0.0, 1.0), slope=0.7, offset=0.5)
ONE_TOKEN = Question((1.0, 0.0, 0.0, 0.0), slope=0.7, offset=0.5)
REFERENCE = torch.tensor([[-0.6, 0.4], [0.9, 0.0], [0.0, -0.8]], dtype=torch.float64)
BETA = 0.3


def sequence_kl(theta):
    p, q = QUESTION.answer_probs(theta), QUESTION.answer_probs(REFERENCE)
    return (p * (p / q).log()).sum()


def visits(theta):
    """Probability of reaching each state, held fixed."""
    table = QUESTION.log_table(theta).exp().detach()
    return torch.stack([torch.ones_like(table[0, 1]), table[0, 1], table[0, 1] * table[1, 1]])


def frozen(per_state, theta):
    """Expectation of a quantity of each state at the visited states, which are held fixed."""
    return (visits(theta) * per_state).sum()


def reverse_kl(theta):
    log_p, log_q = QUESTION.log_table(theta), QUESTION.log_table(REFERENCE)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def forward_kl(theta):
    log_p, log_q = QUESTION.log_table(theta), QUESTION.log_table(REFERENCE)
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def expected_terms(terms, theta, per_sequence=False):
    """Gradient of the expected sum of terms over sampled answers (the mean where a term stands for an
    answer)."""
    probs = QUESTION.answer_probs(theta).detach()
    total = 0
    for answer in range(len(ANSWERS)):
        new, ref = QUESTION.token_logprobs(theta, answer), QUESTION.token_logprobs(REFERENCE, answer)
        value = terms(new, ref)
        total = total + probs[answer] * (value.mean() if per_sequence else value.sum())
    return gradient(total, theta)


def test_k2_in_the_loss_is_the_reverse_kl_at_visited_states():
    theta = parameters()
    wanted = BETA * gradient(frozen(reverse_kl(theta), theta), theta)
    assert close(expected_terms(KlLoss(BETA), theta), wanted)
    assert KlLoss(BETA).surrogate
    assert not close(wanted, BETA * gradient(sequence_kl(theta), theta))


def test_k2_of_whole_answers_is_the_exact_reverse_kl():
    theta = parameters()
    piece = KlLoss(BETA, level="sequence")

    def terms(new, ref):
        lengths = torch.tensor([len(new)])
        rollouts = torch.zeros(len(new), dtype=torch.long)
        kept, groups = torch.tensor([True]), torch.tensor([4])
        weights = sequence_mean(rollouts, lengths, groups, kept, count(lengths, groups, kept))
        return weights * piece(new, ref, rollouts)

    assert not piece.surrogate
    assert close(expected_terms(terms, theta), BETA * gradient(sequence_kl(theta), theta))


def test_k1_in_the_loss_pulls_nowhere():
    theta = parameters()
    assert close(expected_terms(kl_k1, theta), torch.zeros_like(theta))
    with pytest.raises(RecipeError, match="expectation is zero"):
        KlLoss(BETA, estimator="k1")


def test_k3_in_the_loss_is_the_forward_kl_at_visited_states():
    theta = parameters()
    wanted = gradient(frozen(forward_kl(theta), theta), theta)
    assert close(expected_terms(KlLoss(1.0, estimator="k3"), theta), wanted)
    assert not close(wanted, gradient(frozen(reverse_kl(theta), theta), theta))


def test_the_values_of_the_estimators():
    theta = parameters().detach()
    probs = QUESTION.answer_probs(theta)
    pairs = [(QUESTION.token_logprobs(theta, a), QUESTION.token_logprobs(REFERENCE, a)) for a in range(4)]
    exact = frozen(reverse_kl(theta), theta)
    mean = {k: sum(p * k(*pair).sum() for p, pair in zip(probs, pairs)) for k in (kl_k1, kl_k2, kl_k3)}
    assert close(mean[kl_k1], exact)
    assert close(mean[kl_k3], exact)
    assert not close(mean[kl_k2], exact)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_only_k1_in_the_reward_is_the_reverse_kl(estimator):
    theta = parameters()
    piece = KlReward(BETA, estimator=estimator)

    def penalty(question, answer):
        new = question.token_logprobs(theta, answer)
        return piece(new, question.token_logprobs(REFERENCE, answer)).sum().item()

    wanted = gradient(QUESTION.expected_reward(theta) - BETA * sequence_kl(theta), theta)
    update = expected_ascent(theta, [QUESTION], [2], Rloo(), penalty=penalty)
    assert close(update, wanted) == (estimator == "k1")
    assert piece.surrogate == (estimator != "k1")


def test_k1_token_rewards_with_returns_to_go():
    theta = parameters()
    piece = KlReward(BETA)

    def terms(new, ref):
        rewards = piece(new, ref)
        assert not rewards.requires_grad
        advantages, _ = gae(
            rewards, torch.zeros_like(rewards), torch.zeros(len(new), dtype=torch.long), lam=1.0
        )
        return -advantages * new

    assert close(expected_terms(terms, theta), BETA * gradient(sequence_kl(theta), theta))


def test_entropy_bonus_is_the_entropy_at_visited_states():
    theta = parameters()
    table = QUESTION.log_table(theta)
    entropy = -(table.exp() * table).sum(-1)
    probs = QUESTION.answer_probs(theta).detach()
    loss = sum(
        probs[a] * EntropyBonus(0.2)(torch.stack([entropy[state] for state, _ in ANSWERS[a]])).sum()
        for a in range(len(ANSWERS))
    )
    assert close(gradient(loss, theta), -0.2 * gradient(frozen(entropy, theta), theta))


def test_sequence_weights_undo_the_sampler():
    theta = parameters()
    wanted = gradient(QUESTION.expected_reward(theta), theta)
    inf = float("inf")
    exact = Correction(level="sequence", threshold=inf)
    by_token = Correction(level="token", threshold=inf)

    def ascent(correction):
        return expected_ascent(theta, [QUESTION], [2], Rloo(), correction=correction, sampler=REFERENCE)

    assert close(ascent(exact), wanted)
    assert not close(ascent(by_token), wanted)
    assert not close(ascent(None), wanted)


@pytest.mark.parametrize("mode", ["truncate", "mask"])
def test_limited_sequence_weights(mode):
    """The expected update with limited weights, from probabilities of whole answers."""
    theta = parameters()
    threshold = 1.2
    p, m = QUESTION.answer_probs(theta), QUESTION.answer_probs(REFERENCE)
    ratio = (p / m).detach()
    assert (ratio > threshold).any()
    limited = ratio.clamp(max=threshold) if mode == "truncate" else ratio * (ratio <= threshold)
    rewards = torch.tensor(QUESTION.rewards, dtype=torch.float64)
    baseline = (m * rewards).sum()
    wanted = gradient((m * limited * (rewards - baseline) * p.log()).sum(), theta)
    correction = Correction(level="sequence", mode=mode, threshold=threshold)
    assert close(
        expected_ascent(theta, [QUESTION], [2], Rloo(), correction=correction, sampler=REFERENCE), wanted
    )
