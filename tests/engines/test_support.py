"""An action space: what is sampled is the whole distribution restricted to it and renormalised."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.engine_models import forward_logits, policy, request
from hone.core.errors import RecipeError
from hone.core.sampling import SamplingParams
from hone.engines import NativeEngine, TransformersEngine
from hone.engines.sampler import draw, settings

ACTIONS = (4, 7, 9)


def test_restricted_rows_stand_beside_free_ones():
    torch.manual_seed(0)
    logits = torch.randn(4, 12)
    params = [
        SamplingParams(1, support=ACTIONS),
        SamplingParams(1),
        SamplingParams(1, support=(2,)),
        SamplingParams(1),
    ]
    u = torch.linspace(0, 0.999, 64)
    seen = [draw(logits, torch.full((4,), float(x)), settings(params)) for x in u]
    tokens = torch.stack([t for t, _ in seen])
    assert set(tokens[:, 0].tolist()) == set(ACTIONS)
    assert set(tokens[:, 2].tolist()) == {2}
    assert len(set(tokens[:, 1].tolist())) > 3
    free = draw(logits, torch.full((4,), 0.3), settings([SamplingParams(1)] * 4))
    mixed = draw(logits, torch.full((4,), 0.3), settings(params))
    assert mixed[0][1] == free[0][1]
    assert mixed[1][3] == free[1][3]
    own = logits[0, list(ACTIONS)].log_softmax(-1)
    for token, logprob in seen:
        torch.testing.assert_close(logprob[0], own[ACTIONS.index(int(token[0]))], atol=1e-5, rtol=0)


def test_frequencies_are_the_restricted_distribution():
    torch.manual_seed(1)
    logits = torch.randn(1, 12).expand(4000, 12)
    u = torch.from_numpy(np.random.default_rng(0).random(4000))
    tokens, _ = draw(logits, u, settings([SamplingParams(1, temperature=0.7, support=ACTIONS)]))
    shares = torch.tensor([(tokens == a).double().mean() for a in ACTIONS])
    want = (logits[0, list(ACTIONS)] / 0.7).softmax(-1).double()
    assert float((shares - want).abs().max()) < 0.03


@pytest.mark.parametrize("engine", [NativeEngine, TransformersEngine])
def test_engines_keep_to_it(engine):
    import asyncio

    subject = policy()
    made = engine(subject)
    asked = request("abc", n=8, max_tokens=4, support=ACTIONS)

    async def ask():
        made.expect(1)
        try:
            return await made.sample(asked)
        finally:
            made.leave()

    found = asyncio.run(ask())
    assert {int(t) for c in found for t in c.tokens} <= set(ACTIONS)
    for c in found:
        logits = forward_logits(subject.model, asked.prefix, c)[:, list(ACTIONS)].log_softmax(-1)
        want = [float(row[ACTIONS.index(int(t))]) for row, t in zip(logits, c.tokens)]
        np.testing.assert_allclose(c.logprobs, want, atol=1e-4)


def test_the_same_token_twice_is_refused():
    with pytest.raises(RecipeError, match="support"):
        SamplingParams(1, support=(3, 3))
