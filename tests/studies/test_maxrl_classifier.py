"""The update from counts of actions is that of actions one by one; policies start uniform; seeds never touch."""

import numpy as np
import pytest
import torch

from hone.credit import Grpo, Maxrl, PassAtK, Reinforce, Rloo
from hone.objectives import PolicyGradient
from hone.studies.maxrl_classifier import (
    Classifiers,
    Digits,
    SampledDirection,
    cross_entropy_direction,
    digits,
    draw_counts,
)

CREDITS = [Maxrl(), Maxrl(order=5, weights="subset", control=1.0), Rloo(), Grpo(), PassAtK(2), Reinforce()]


def one_by_one(logits, labels, actions, credit):
    """The gradient of the mean over images of (1/N) Σ A_i log π(a_i), every action a unit of its own."""
    images, size = actions.shape
    leaf = logits.clone().requires_grad_()
    rewards = (actions == labels[:, None]).double().flatten()
    given = credit(rewards, torch.arange(images).repeat_interleave(size))
    logprobs = torch.log_softmax(leaf, -1).gather(-1, actions).flatten()
    loss = PolicyGradient()(logprobs, logprobs.detach(), given, torch.arange(images * size)).sum() / size
    return torch.autograd.grad(-loss, leaf)[0]


@pytest.mark.parametrize("credit", CREDITS)
def test_counts_are_enough(credit):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    labels = torch.tensor([0, 1, 2, 3, 0])
    actions = torch.randint(4, (5, 6), generator=generator)
    actions[1], actions[2] = 0, 2  # never right, always right
    counts = torch.nn.functional.one_hot(actions, 4).sum(1).double()
    direction = SampledDirection(credit, 6)
    found = direction.of_counts(torch.softmax(logits, -1)[None], counts[None], labels[None])[0]
    assert torch.allclose(found, one_by_one(logits, labels, actions, credit), atol=1e-12)


def test_many_samples_of_maxrl_are_cross_entropy():
    logits = torch.randn(1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, 2]])
    found = SampledDirection(Maxrl(), 1000)(logits, labels, [torch.Generator().manual_seed(1)])
    assert torch.allclose(found, cross_entropy_direction(logits, labels), atol=0.1)
    few = SampledDirection(Rloo(), 1000)(logits, labels, [torch.Generator().manual_seed(1)])
    assert not torch.allclose(few, cross_entropy_direction(logits, labels), atol=0.2)


def test_draws_follow_the_policy():
    chances = torch.tensor([[0.1, 0.9], [0.5, 0.5]])
    counts = draw_counts(chances, 10_000, torch.Generator().manual_seed(0))
    assert (counts.sum(1) == 10_000).all()
    assert torch.allclose(counts / 10_000, chances, atol=0.02)


def test_policies_start_uniform_and_seeds_never_touch():
    pixels = torch.rand(2, 3, 64, generator=torch.Generator().manual_seed(0))
    both, alone = Classifiers([4, 5], 64, 8, 10, 0.1), Classifiers([5], 64, 8, 10, 0.1)
    assert (both.logits(pixels) == 0).all()
    labels = torch.tensor([[1, 2, 3], [4, 5, 6]])
    for _ in range(3):
        for policy, part in ((both, slice(None)), (alone, slice(1, None))):
            logits = policy.logits(pixels[part])
            policy.ascend(logits, cross_entropy_direction(logits, labels[part]))
    assert torch.allclose(both.logits(pixels)[1], alone.logits(pixels[1:])[0], atol=1e-6)
    assert not torch.allclose(both.logits(pixels)[0], both.logits(pixels)[1])


def test_digits_side_by_side_spell_a_number():
    four = Digits(np.arange(10 * 64, dtype=np.float32).reshape(10, 64), np.arange(10))
    pixels, labels = four.draw(np.random.default_rng(0), 20, 3)
    assert pixels.shape == (20, 192)
    for row, label in zip(pixels, labels):
        shown = [int(row[64 * at] // 64) for at in range(3)]
        assert label == int("".join(map(str, shown)))


def test_held_out_digits_are_apart():
    training, test = digits()
    assert (len(training.labels), len(test.labels)) == (1437, 360)
    assert training.pixels.min() == 0
    assert training.pixels.max() == 1
    seen = {row.tobytes() for row in training.pixels}
    assert sum(row.tobytes() in seen for row in test.pixels) == 0
