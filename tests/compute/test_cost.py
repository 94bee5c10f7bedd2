"""The cost formulas against a counter of operations, and against hand numbers."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from builders import CharTokenizer, groups_of, tiny_model
from hone.compute.cost import (
    Decoder,
    causal_pairs,
    decode_step_bytes,
    rollout_flops,
    sampling_work,
    training_flops,
)
from hone.core.errors import PolicyError
from hone.core.forest import pack
from hone.policies import shapes
from hone.policies.token_policy import TokenPolicy

SHAPE = "hidden=64,layers=3,heads=4,kv_heads=2,head_dim=24,ffn=160,vocab=128"
SMALL = Decoder(hidden=4, layers=2, heads=2, kv_heads=1, head_dim=3, ffn=5, vocab=7)


@pytest.mark.parametrize("family", shapes.FAMILIES)
@pytest.mark.parametrize("length", [8, 200])
def test_forward_and_training_flops_against_a_counter(family, length):
    model, _ = shapes.build(f"{family}:{SHAPE}", seed=0)
    model.set_attn_implementation("eager")
    ids = torch.zeros(2, length, dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        loss = model(ids).logits.sum()
    # Eager attention multiplies the whole square, what is masked included.
    formula = Decoder.of(model.config).forward_flops(2 * length, 2 * length, 2 * length * length)
    assert formula == pytest.approx(forward.get_total_flops(), rel=0.05)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    both = forward.get_total_flops() + backward.get_total_flops()
    assert training_flops(formula) == pytest.approx(both, rel=0.05)


def test_rollout_flops_against_a_counter_on_the_forest():
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    prompts, lengths = [9, 30], [[4, 20, 11], [25, 3]]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        policy.score(pack(groups_of(prompts, lengths)))
    decoder = Decoder.of(policy.model.config)
    pairs = sum(map(causal_pairs, prompts)) + sum(
        causal_pairs(n, p) for p, group in zip(prompts, lengths) for n in group
    )
    linear = (
        torch.ops.aten.mm,
        torch.ops.aten.addmm,
    )  # attention depends on the kernel, linear layers do not
    counted = sum(n for op, n in counter.get_flop_counts()["Global"].items() if op in linear)
    assert rollout_flops(decoder, prompts, lengths) - pairs * decoder.flops_per_pair() == counted


def test_recomputation_costs_one_forward_pass_more():
    assert training_flops(10) == 30
    assert training_flops(10, recomputed=True) == 40


def test_numbers_of_a_small_decoder_by_hand():
    # q 4x6, k and v 4x3 each, o 6x4, gate, up and down 4x5 each: 24 + 24 + 24 + 60.
    assert SMALL.layer_weights == 132
    assert SMALL.weights == 2 * 132 + 4 * 7
    assert SMALL.cache == 2 * 2 * 1 * 3
    assert SMALL.forward_flops(tokens=1, predictions=0, pairs=0) == 2 * 264
    assert SMALL.forward_flops(tokens=0, predictions=1, pairs=0) == 2 * 28
    assert SMALL.forward_flops(tokens=0, predictions=0, pairs=1) == 2 * (4 * 2 * 3)
    assert causal_pairs(3) == 1 + 2 + 3
    assert causal_pairs(3, before=10) == 11 + 12 + 13


def test_a_decode_step_reads_a_shared_prefix_once():
    # Four rollouts below one prefix of 10 tokens, two below one of 20.
    read = decode_step_bytes(SMALL, own=[1, 2, 3, 4, 5, 6], prefixes=[10, 20], weight_bytes=4, cache_bytes=2)
    assert read == 4 * 292 + 2 * 12 * (21 + 30)


def test_sampling_work_is_the_sum_of_its_steps():
    prompts, lengths = [5, 8], [[3, 1], [4, 2]]
    flops = SMALL.forward_flops(
        13, 4, causal_pairs(5) + causal_pairs(8)
    )  # the prompts, and four first tokens
    read = 2 * SMALL.weights
    for step in range(1, 4):  # a rollout of n tokens is decoded n - 1 times
        alive = [[n for n in group if n > step] for group in lengths]
        rows = sum(map(len, alive))
        pairs = sum((p + step) * len(group) for p, group in zip(prompts, alive))
        flops += SMALL.forward_flops(rows, rows, pairs)
        prefixes = [p for p, group in zip(prompts, alive) if group]
        read += decode_step_bytes(SMALL, [step] * rows, prefixes, 2, 2)
    work = sampling_work(SMALL, prompts, lengths, number_bytes=2)
    assert (work.flops, work.bytes) == (flops, read)


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(PolicyError, match="`gpt2`"):
        Decoder.of(tiny_model("gpt2").config)
