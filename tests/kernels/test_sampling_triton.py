"""The two-pass draw, run by Triton's interpreter, against the exact cumulative distribution in float64."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

import numpy as np

from hone.core.sampling import SamplingParams
from hone.engines import sampler
from hone.kernels import sampling_triton
from hone.kernels.sampling_triton import draw

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


def columns(rows: int, temperature: float = 1.0, greedy: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((rows,), temperature, dtype=torch.float64), torch.full((rows,), greedy)


def uniforms(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(rows)).to(DEVICE)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sampling_triton, "CHUNK", 64)
    with torch.device(DEVICE):
        yield


@pytest.mark.parametrize("vocabulary", [3, 64, 65, 500])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_tokens_equal_the_plain_sampler_in_float64(vocabulary: int, temperature: float) -> None:
    torch.manual_seed(vocabulary)
    logits = torch.randn(8, vocabulary, dtype=torch.float64) * 3
    u = uniforms(8)
    got = draw(logits, u, *columns(8, temperature))
    want = sampler.draw(logits, u, sampler.settings([SamplingParams(1, temperature)], DEVICE))
    assert torch.equal(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tokens_equal_in_lower_precision_away_from_the_boundaries(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    logits = (torch.randn(12, 500) * 3).to(dtype)
    u = uniforms(12, 1)
    tokens, logprobs = draw(logits, u, *columns(12))
    exact = logits.double().log_softmax(-1)
    cdf = exact.exp().cumsum(-1)
    want = torch.searchsorted(cdf, u[:, None], right=True)[:, 0]
    clear = (cdf - u[:, None]).abs().min(-1).values > 1e-6
    assert clear.sum() >= 11
    assert torch.equal(tokens[clear], want[clear])
    torch.testing.assert_close(
        logprobs.double(), exact.gather(1, tokens[:, None])[:, 0], atol=1e-5, rtol=1e-5
    )


def test_every_token_has_its_share_of_the_uniforms() -> None:
    torch.manual_seed(3)
    logits = torch.randn(1, 70)
    grid = (torch.arange(48, dtype=torch.float64) + 0.5) / 48
    tokens, _ = draw(logits.expand(48, -1).contiguous(), grid, *columns(48))
    exact = logits[0].double().softmax(-1)
    share = torch.bincount(tokens, minlength=70) / 48
    assert (share - exact).abs().max() <= 1 / 48 + 1e-6
    assert (tokens.diff() >= 0).all()


def test_tokens_without_probability_are_never_drawn() -> None:
    logits = torch.full((4, 200), -torch.inf)
    logits[:, [70, 130]] = 0.0
    u = torch.tensor([0.0, 0.4999, 0.5001, 1 - 2.0**-53], dtype=torch.float64)
    assert draw(logits, u, *columns(4))[0].tolist() == [70, 70, 130, 130]


def test_greedy_rows_take_the_first_largest_logit_and_others_are_drawn() -> None:
    torch.manual_seed(2)
    logits = torch.randn(6, 200)
    logits[1, [66, 150]] = 9.0
    temperature, _ = columns(6)
    greedy = torch.tensor([True, True, True, False, False, False])
    u = uniforms(6, 2)
    tokens, logprobs = draw(logits, u, temperature, greedy)
    assert tokens[:3].tolist() == logits[:3].argmax(-1).tolist()
    assert tokens[1] == 66
    assert not logprobs[:3].any()
    assert torch.equal(tokens[3:], draw(logits[3:].contiguous(), u[3:], *columns(3))[0])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("greedy", [False, True])
def test_rows_that_are_not_finite_say_so_and_stay_in_the_vocabulary(bad: float, greedy: bool) -> None:
    logits = torch.zeros(3, 150)
    logits[1, 100] = bad
    logits[2] = torch.nan
    tokens, logprobs = draw(logits, uniforms(3), *columns(3, greedy=greedy))
    assert logprobs.isnan().tolist() == [False, True, True]
    assert ((tokens >= 0) & (tokens < 150)).all()
