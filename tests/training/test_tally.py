from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builders import CharTokenizer, groups_of, tiny_model
from hone.catalog import build_method
from hone.core.batch import collect
from hone.core.forest import pack
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.tally import Tally

METHOD = build_method(
    resolve({"task": "maze", "model": "micro:new", "method": "rloo", "objective": "ppo_clip"})[0]
)


def observed():
    """Two micro-batches with what a forward pass says of them."""
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    out = []
    for seed in (0, 1):
        batch = collect(groups_of([5], [[2, 4, 3]], seed))
        scores = policy.score(pack(batch.trajectories), entropy=True)
        old = scores.logprobs.detach() + torch.linspace(-0.5, 0.5, 9)
        batch = replace(batch, old_logprobs=old, advantages=torch.ones(9), reference_logprobs=old - 0.1)
        out.append((scores, batch, {"policy": scores.logprobs.sum()}))
    return out


def test_numbers_are_sums_over_micro_batches_and_updates():
    tally, parts = Tally(), observed()
    tally.observe(METHOD, *parts[0], first_pass=True)
    tally.close(torch.tensor(3.0))
    tally.observe(METHOD, *parts[1], first_pass=False)
    tally.close(torch.tensor(5.0))
    now = torch.cat([s.logprobs.detach() for s, _, _ in parts]).double()
    old = torch.cat([b.old_logprobs for _, b, _ in parts]).double()
    behaviour = parts[0][1].behaviour_logprobs.double()

    def k3(d):
        return float((d.exp() - 1 - d).sum())

    assert (tally.tokens, tally.first_pass_tokens, tally.grad_norms) == (18, 9, [3.0, 5.0])
    assert tally.entropy == pytest.approx(float(sum(s.entropy.detach().sum() for s, _, _ in parts)), rel=1e-5)
    assert tally.k1 == pytest.approx(float((old - now).sum()), abs=1e-4)
    assert tally.k3 == pytest.approx(k3(now - old), rel=1e-4)
    assert tally.reference_k3 == pytest.approx(k3(old - 0.1 - now), rel=1e-4)
    assert tally.mismatch_k3 == pytest.approx(k3(old[:9] - behaviour), rel=1e-4)
    assert tally.mismatch_max == pytest.approx(float((old[:9] - behaviour).abs().max()), rel=1e-5)
    assert tally.losses["policy"] == pytest.approx(float(now.sum()), rel=1e-5)
    assert tally.clipped == int(((now - old).exp() > 1.2).sum()) > 0


def test_observing_never_waits_for_the_device(monkeypatch):
    """Nothing observed is read before the update is closed: each read would make the host wait for a GPU."""
    tally, (part, _) = Tally(), observed()

    def read(self, *_):
        raise AssertionError("a tensor was read")

    for name in ("cpu", "item", "tolist", "__float__", "__int__", "__bool__", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, read)
    tally.observe(METHOD, *part, first_pass=True)
    with pytest.raises(AssertionError, match="read"):
        tally.close(torch.tensor(1.0))
    monkeypatch.undo()
    tally.close(torch.tensor(1.0))
    assert tally.entropy > 0


def test_a_reference_that_agrees_is_reported_as_zero():
    tally, (part, _) = Tally(), observed()
    assert tally.reference_k3 is None
    scores, batch, losses = part
    batch.reference_logprobs[:] = scores.logprobs.detach()
    tally.observe(METHOD, scores, batch, losses, first_pass=False)
    tally.close(torch.tensor(1.0))
    assert tally.reference_k3 == 0.0
