from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch

from builders import CharTokenizer, tiny_model
from hone.core.noise import NoiseKey
from hone.core.sampling import SampleRequest, SamplingParams
from hone.policies.token_policy import TokenPolicy
from hone.training.snapshot import SnapshotEngine


class Tokenizer(CharTokenizer):
    def __len__(self) -> int:
        return 23


def sampled(engine) -> tuple[list[list[int]], set[int]]:
    """Tokens of eight rollouts, and the versions they carry."""

    async def ask():
        engine.expect(1)
        try:
            prefix = np.array([3, 4, 5], np.int32)
            return await engine.sample(SampleRequest(prefix, 8, SamplingParams(6), NoiseKey(0)))
        finally:
            engine.leave()

    found = asyncio.run(ask())
    return [c.tokens.tolist() for c in found], {c.version for c in found}


def change(policy: TokenPolicy) -> None:
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(
                torch.ones_like(parameter) * parameter.std() * torch.linspace(-3, 3, parameter.shape[-1])
            )
    policy.version += 1


@pytest.mark.parametrize("engine", ["native", "transformers"])
@pytest.mark.parametrize("kind", ["qwen3", "llama"])  # tied and untied embeddings
def test_it_samples_from_the_weights_at_its_last_refresh(engine: str, kind: str):
    source = TokenPolicy(tiny_model(kind), Tokenizer())
    made = SnapshotEngine(source, engine)
    made.refresh()
    first = sampled(made)
    assert first[1] == {0}
    change(source)
    assert sampled(made) == first
    made.refresh()
    second = sampled(made)
    assert second[0] != first[0]
    assert second[1] == {1}
    assert second[0] == sampled(SnapshotEngine(source, engine))[0]
    copied, original = made.policy.model.state_dict(), source.model.state_dict()
    assert all(torch.equal(copied[name], original[name]) for name in original)
    assert not {t.data_ptr() for t in copied.values()} & {t.data_ptr() for t in original.values()}
    assert all(p.requires_grad for p in source.model.parameters())
