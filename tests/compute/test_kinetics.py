"""The cost of completions: by hand, against a count token by token, and where cache traffic passes the weights."""

from __future__ import annotations

import pytest

from hone.compute.cost import Decoder
from hone.compute.kinetics import INTENSITY, TopK, all_parameters, completion_cost
from hone.core.errors import DataError
from synthetic import QWEN3

TINY = Decoder(hidden=8, layers=2, heads=4, kv_heads=2, head_dim=3, ffn=16, vocab=10)


def test_cost_by_hand():
    # P = 2 layers (8 x 3 x (8 + 4) + 3 x 8 x 16) + 2 x 8 x 10; D_q = 24, D_kv = 12
    assert all_parameters(TINY) == 2 * (288 + 384) + 160
    cost = completion_cost(TINY, prompt=5, length=10, samples=3)
    assert cost.flops == 3 * (2 * 1504 * 10 + 2 * (2 * 5 + 10) * 10 * 24)
    assert cost.cache_bytes == 2 * (2 * 5 + 3 * 10) * 10 * 12
    assert cost.total() == cost.flops + 562.5 * cost.cache_bytes
    assert cost.total(0) == cost.flops


def test_attention_and_traffic_are_those_of_a_count_token_by_token():
    prompt, length, samples = 40, 200, 4
    cost = completion_cost(TINY, prompt, length, samples)
    pairs = sum(prompt + t for t in range(length))  # what the tokens of one sample read
    attention = cost.flops - samples * 2 * all_parameters(TINY) * length
    assert attention == pytest.approx(samples * pairs * TINY.flops_per_pair(), rel=0.01)
    read = sum(prompt + samples * t for t in range(length))  # the prompt once for all samples
    assert cost.cache_bytes == pytest.approx(read * TINY.cache * 2, rel=0.01)


@pytest.mark.parametrize(("shape", "crossing"), [(QWEN3["1.7B"], 126), (QWEN3["32B"], 889)])
def test_where_cache_traffic_passes_the_weights(shape, crossing):
    """Published claim: about 126 tokens for 1.7 billion, about 890 for 32 billion, without a prompt."""

    def passed(length):
        matrices = 2 * all_parameters(shape) * length
        return INTENSITY * completion_cost(shape, 0, length).cache_bytes >= matrices

    assert passed(crossing)
    assert not passed(crossing - 1)


def test_without_attention_and_traffic_the_cost_is_linear_in_length():
    blind = Decoder(hidden=8, layers=2, heads=0, kv_heads=0, head_dim=3, ffn=16, vocab=10)
    one = completion_cost(blind, 7, 10)
    assert completion_cost(blind, 7, 30).total() == 3 * one.total()
    assert one.cache_bytes == 0


def test_samples_share_the_prompt_in_traffic_only():
    one, four = (completion_cost(TINY, 1000, 1, samples) for samples in (1, 4))
    assert four.flops == 4 * one.flops
    assert four.cache_bytes < 1.01 * one.cache_bytes


def test_top_k_by_hand():
    cost = completion_cost(TINY, prompt=100, length=50, samples=3, attention=TopK(budget=32, block=16))
    read, scored = 4 * 32 * 50, (2 * 100 + 50) // 16 * 50
    assert cost.flops == 3 * (2 * 1504 * 50 + (read + scored) * 24)
    assert cost.cache_bytes == (3 * read + (2 * 100 + 3 * 50) // 16 * 50) * 12


def test_top_k_is_linear_in_length_for_long_completions_and_dense_for_short_ones():
    sparse = TopK(budget=512, block=4096)
    long, longer = (completion_cost(QWEN3["1.7B"], 0, n, attention=sparse).total() for n in (2048, 4095))
    assert longer / long == pytest.approx(4095 / 2048)
    assert completion_cost(QWEN3["1.7B"], 100, 400, 2, sparse) == completion_cost(QWEN3["1.7B"], 100, 400, 2)
    assert completion_cost(QWEN3["1.7B"], 0, 4095).total() > 2 * longer


@pytest.mark.parametrize(("prompt", "length", "samples"), [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_no_completion_has_no_cost(prompt, length, samples):
    with pytest.raises(DataError, match="at least 1"):
        completion_cost(TINY, prompt, length, samples)
    with pytest.raises(DataError, match="at least 1"):
        TopK(budget=0)
