from __future__ import annotations

import itertools

import pytest
import torch

from hone.core.errors import CheckpointError
from hone.training.optimizer import learning_rate, load_optimizer_tensors, make_optimizer, optimizer_tensors


def test_warm_up_rises_to_the_peak_and_schedules_end_at_zero():
    rates = [learning_rate(i, 20, 1.0, "cosine", warmup=5) for i in range(21)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == pytest.approx(1.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    assert rates[20] == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(15, 20, 2.0, "linear") == pytest.approx(0.5)
    assert learning_rate(30, 20, 2.0, "linear") == 0.0
    assert learning_rate(7, 20, 3.0) == 3.0


def test_optimizer_state_survives_the_round_trip():
    torch.manual_seed(0)

    def build():
        torch.manual_seed(1)
        layer = torch.nn.Linear(3, 2)
        return layer, make_optimizer(list(layer.parameters()), 0.1, (0.9, 0.99))

    def move(layer, optimizer, x):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        optimizer.step()

    inputs = [torch.randn(4, 3) for _ in range(4)]
    straight, optimizer = build()
    for x in inputs:
        move(straight, optimizer, x)
    first, optimizer = build()
    for x in inputs[:2]:
        move(first, optimizer, x)
    second, fresh = build()
    second.load_state_dict(first.state_dict())
    load_optimizer_tensors(fresh, optimizer_tensors(optimizer))
    for x in inputs[2:]:
        move(second, fresh, x)
    assert torch.equal(straight.weight, second.weight)
    assert torch.equal(straight.bias, second.bias)

    other = make_optimizer(list(torch.nn.Linear(5, 5).parameters()), 0.0, (0.9, 0.99))
    with pytest.raises(CheckpointError, match="another model"):
        load_optimizer_tensors(other, optimizer_tensors(optimizer))
