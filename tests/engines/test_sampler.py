"""The sampler against exact probabilities and against transformers' own truncation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engines.engine_models import VOCABULARY, forward_logits, policy, request
from hone.core.noise import NoiseKey, uniforms
from hone.core.sampling import Completion, SamplingParams
from hone.engines import NativeEngine, TransformersEngine
from hone.engines.sampler import draw, settings

LOGITS = torch.randn(50, 40, generator=torch.Generator().manual_seed(0)) * 3


def warped(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Log probabilities under transformers' own warpers, in its order."""
    scores = TemperatureLogitsWarper(params.temperature)(None, logits) if params.temperature != 1 else logits
    if params.top_k:
        scores = TopKLogitsWarper(params.top_k)(None, scores)
    if params.top_p < 1:
        scores = TopPLogitsWarper(params.top_p)(None, scores)
    if params.min_p:
        scores = MinPLogitsWarper(params.min_p)(None, scores)
    return scores.log_softmax(-1)


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.1}, {"top_k": 9, "top_p": 0.8, "min_p": 0.05},
     {"temperature": 1.7, "top_p": 0.9}, {"top_p": 1e-9}],
)  # fmt: skip
def test_every_draw_has_the_logprob_of_the_truncated_and_renormalised_distribution(options: dict) -> None:
    params = SamplingParams(1, **options)
    expected = warped(LOGITS, params)
    seen = torch.zeros_like(LOGITS, dtype=torch.bool)
    for u in np.linspace(0, 1, 101)[:-1]:
        tokens, logprobs = draw(LOGITS, torch.full((50,), u, dtype=torch.float64), settings([params]))
        torch.testing.assert_close(logprobs, expected.gather(1, tokens[:, None])[:, 0])
        seen.scatter_(1, tokens[:, None], True)
    assert not (seen & expected.isinf()).any()
    assert bool(seen[expected > np.log(0.02)].all())


def test_inverse_cdf_picks_the_token_whose_interval_holds_the_uniform() -> None:
    logits = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).log()
    for u, token in [(0.0, 0), (0.19, 0), (0.21, 1), (0.69, 1), (0.71, 2), (1 - 2**-53, 2)]:
        assert draw(logits, torch.tensor([u]), settings([SamplingParams(1)]))[0].item() == token
    rounded_up = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert draw(logits.float(), rounded_up, settings([SamplingParams(1)]))[0].item() == 2


def test_tokens_without_probability_are_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    rows = settings([SamplingParams(1)])
    drawn = [draw(logits, torch.tensor([u]), rows)[0].item() for u in (0.0, 0.5, 1 - 2**-53)]
    assert drawn == [1, 3, 3]


def test_rows_with_their_own_settings_equal_rows_alone() -> None:
    kinds = [
        SamplingParams(1),
        SamplingParams(1, temperature=0.0),
        SamplingParams(1, 0.5, top_k=3),
        SamplingParams(1, top_p=0.5),
    ]
    uniform = torch.from_numpy(uniforms([NoiseKey(0)], 50)[0])
    choice = np.arange(50) % 4
    tokens, logprobs = draw(LOGITS, uniform, settings(kinds).rows(choice))
    for i in range(50):
        alone = draw(LOGITS[i : i + 1], uniform[i : i + 1], settings([kinds[choice[i]]]))
        assert tokens[i] == alone[0][0]
        torch.testing.assert_close(logprobs[i], alone[1][0])


def test_greedy_is_a_point_mass_on_the_largest_logit() -> None:
    tokens, logprobs = draw(LOGITS, torch.full((50,), 0.99), settings([SamplingParams(1, temperature=0.0)]))
    assert torch.equal(tokens, LOGITS.argmax(-1))
    assert torch.equal(logprobs, torch.zeros(50))


@pytest.mark.parametrize("engine", [NativeEngine, TransformersEngine])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_k": 6}])
def test_sampled_pairs_of_tokens_follow_the_exact_distribution(engine: type, options: dict) -> None:
    subject = policy()
    rollouts = 6000 if engine is NativeEngine else 1500
    asked = request("abc", n=rollouts, max_tokens=2, **options)
    drawn = engine(subject).run([asked])[0]

    def exact(tokens: list[int]) -> np.ndarray:
        stand_in = Completion(np.array([*tokens, 0], np.int32), np.zeros(1, np.float32), "stop", 0)
        logits = forward_logits(subject.model, asked.prefix, stand_in)[-1:]
        return warped(logits, asked.params).exp()[0].double().numpy()

    size = len(VOCABULARY)
    first = exact([])
    expected = np.array(
        [first[a] * (exact([a]) if a != 1 else np.eye(size)[0]) for a in range(size)]
    ).reshape(-1)
    observed = np.zeros(size * size)
    for c in drawn:
        observed[c.tokens[0] * size + (c.tokens[1] if len(c.tokens) == 2 else 0)] += 1
    possible = expected > 0
    assert observed[~possible].sum() == 0
    observed, expected = observed[possible], expected[possible]
    rare = expected * rollouts < 5
    table = [
        np.append(x[~rare], x[rare].sum()) if rare.any() else x
        for x in (observed, expected / expected.sum() * rollouts)
    ]
    assert len(table[0]) > 10
    assert chisquare(*table).pvalue > 0.001
