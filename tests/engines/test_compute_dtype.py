"""The native engine samples in the dtype that the trainer scores in: their logprobs agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.engine_models import FAMILIES, Letters, make_model, policy, request
from hone.core.forest import pack
from hone.core.problem import Problem
from hone.core.sampling import Completion, SampleRequest
from hone.core.trajectory import Segment, Trajectory
from hone.engines import NativeEngine, TransformersEngine
from hone.policies.token_policy import TokenPolicy

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ASKED = [
    request("abc", n=64, max_tokens=24, path=(0,)),
    request("defghij.0 abcdefgh", n=64, max_tokens=40, path=(1,)),
]


def trainer(family: str, autocast: torch.dtype | None, device: str = "cpu") -> TokenPolicy:
    """Scores padded rows, through the attention of transformers alone."""
    out = TokenPolicy(make_model(family).to(device), Letters(), autocast)
    out.shares_prefixes = False
    return out


def gap(
    scored: TokenPolicy, asked: list[SampleRequest], results: list[list[Completion]]
) -> tuple[float, float]:
    """k3 of the sampler's logprobs against the trainer's, and the largest difference in nats."""
    trajectories = []
    for request_, group in zip(asked, results):
        root = Segment(request_.prefix, "prompt")
        for c in group:
            leaf = Segment(c.tokens, "action", root, c.logprobs)
            trajectories.append(Trajectory(Problem("p", "", "p"), leaf, "", "stop", {"group": 0}))
    forest = pack(trajectories)
    with torch.no_grad():
        expected = scored.score(forest).logprobs.double().cpu().numpy()
    drawn = np.concatenate([c.logprobs for group in results for c in group]).astype(np.float64)
    assert len(drawn) == len(expected) > 300
    difference = expected - drawn
    return float(np.mean(np.expm1(difference) - difference)), float(np.abs(difference).max())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "k3_limit", "largest"), [(None, 1e-8, 1e-3), (torch.bfloat16, 1e-4, 0.1)])
def test_logprobs_agree_with_the_trainers(
    family: str, dtype: torch.dtype | None, k3_limit: float, largest: float, device: str
) -> None:
    scored = trainer(family, dtype, device)
    k3, worst = gap(scored, ASKED, NativeEngine(scored).run(ASKED))
    assert k3 < k3_limit
    assert worst < largest


def test_the_transformers_engine_samples_in_the_compute_dtype_too() -> None:
    plain, rounded = trainer("qwen3", None), trainer("qwen3", torch.bfloat16)
    drawn = TransformersEngine(rounded).run(ASKED)
    assert gap(rounded, ASKED, drawn)[0] < 1e-4
    assert gap(plain, ASKED, drawn)[1] > 1e-3


def matrices(engine: NativeEngine) -> list[torch.Tensor]:
    """Every weight that the engine multiplies by."""
    model = engine._model
    found = [w for layer in model.layers for w in vars(layer).values()]
    return [w for w in (*found, model.head, model.head_bias) if w is not None]


@pytest.mark.parametrize("family", ["llama", "qwen3", "smollm"])
def test_a_copy_follows_the_weights_at_refresh_and_stays_where_it_is(family: str) -> None:
    subject = policy(family, autocast=torch.bfloat16)
    engine = NativeEngine(subject)
    before = [w.clone() for w in matrices(engine)]
    places = [w.data_ptr() for w in matrices(engine)]
    owned = {p.untyped_storage().data_ptr() for p in subject.model.parameters()}
    assert {w.dtype for w in matrices(engine)} == {torch.bfloat16}
    assert owned.isdisjoint(w.untyped_storage().data_ptr() for w in matrices(engine))

    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.mul_(1.5)
    subject.version = 7
    assert all(torch.equal(a, b) for a, b in zip(before, matrices(engine)))
    engine.refresh()
    assert [w.data_ptr() for w in matrices(engine)] == places
    for old, new in zip(before, matrices(engine)):
        torch.testing.assert_close(new, old * 1.5, rtol=2**-7, atol=0)
    assert engine.version == 7
    assert engine.run([request("abc", n=1)])[0][0].version == 7


def test_weights_of_the_compute_dtype_are_not_copied() -> None:
    for subject in (policy("qwen2"), policy("qwen2", torch.bfloat16, autocast=torch.bfloat16)):
        engine = NativeEngine(subject)
        owned = {p.untyped_storage().data_ptr() for p in subject.model.parameters()}
        assert owned.issuperset(w.untyped_storage().data_ptr() for w in matrices(engine))
