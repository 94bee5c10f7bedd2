"""What a ledger's counts come to: against a counter of operations, and against hand numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from builders import CharTokenizer, groups_of, segment, tiny_model
from hone.compute import Ledger
from hone.compute.cost import Decoder, causal_pairs, sampling_work
from hone.compute.spending import PHASES, Costs, spent
from hone.core.forest import pack
from hone.core.problem import Problem
from hone.core.trajectory import Trajectory
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.charging import charge_evaluation, charge_step, reading
from hone.training.scoring import score

DECODER = Decoder(hidden=4, layers=2, heads=2, kv_heads=1, head_dim=3, ffn=5, vocab=7)
COSTS = Costs(
    DECODER,
    parameters=100,
    weight_bytes=4,
    cache_bytes=2,
    moment_bytes=8,
    activation_bytes=10,
    recomputed=False,
)
PROMPTS, LENGTHS = [9, 30], [[4, 20, 11], [25, 3]]


def test_the_counts_of_sampling_come_to_the_work_of_sampling():
    ledger = Ledger()
    charge_step(ledger, groups_of(PROMPTS, LENGTHS), sampled=True)
    work = sampling_work(DECODER, PROMPTS, LENGTHS, 4)
    assert COSTS.flops(ledger)["sampling"] == work.flops
    both = replace(COSTS, cache_bytes=4)
    assert both.bytes(ledger)["sampling"] == work.bytes
    assert (ledger.rollouts, ledger.prompt_tokens, ledger.shared_prompt_tokens) == (5, 39, 2 * 9 + 30)


def test_an_evaluation_costs_what_the_same_sampling_costs():
    step, evaluation = Ledger(), Ledger()
    charge_step(step, groups_of(PROMPTS, LENGTHS), sampled=True)
    charge_evaluation(evaluation, groups_of(PROMPTS, LENGTHS))
    assert COSTS.flops(step)["sampling"] == COSTS.flops(evaluation)["eval"]


def test_demonstrations_are_not_sampled():
    ledger = Ledger()
    charge_step(ledger, groups_of(PROMPTS, LENGTHS), sampled=False)
    assert (ledger.rollouts, ledger.sampled_tokens, ledger.sampled_pairs, ledger.cache_reads) == (5, 0, 0, 0)


def test_a_turn_reads_the_whole_path_before_it():
    rng = np.random.default_rng(0)
    prompt = segment(rng, 5, "prompt")
    first = segment(rng, 3, "action", prompt)
    seen = segment(rng, 2, "observation", first)
    second = segment(rng, 4, "action", seen)
    problem = Problem(prompt="a", answer="a", task="t")
    read = reading([Trajectory(problem, second, "", "stop", {"group": 0, "rollout": 0})])
    assert read.predictions == 3 + 4
    assert read.tokens == (5 + 3 - 1) + (10 + 4 - 1)
    assert read.pairs == causal_pairs(5) + causal_pairs(2, 5) + causal_pairs(10) + causal_pairs(3, 10)


def test_scoring_and_training_flops_against_a_counter():
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    decoder = Decoder.of(policy.model.config)
    costs = replace(COSTS, decoder=decoder)
    trajectories, ledger = groups_of(PROMPTS, LENGTHS), Ledger()
    with FlopCounterMode(display=False) as counter:
        score(policy, trajectories, 1.0, TokenBudget(1000), ledger)
    linear = (torch.ops.aten.mm, torch.ops.aten.addmm)  # attention's count depends on its kernel
    counted = sum(n for op, n in counter.get_flop_counts()["Global"].items() if op in linear)
    assert costs.flops(ledger)["scoring"] - ledger.scored_pairs * decoder.flops_per_pair() == counted

    forest = pack(trajectories)
    with FlopCounterMode(display=False) as counter:
        policy.score(forest).logprobs.sum().backward()
    counted = sum(n for op, n in counter.get_flop_counts()["Global"].items() if op in linear)
    trained = Ledger(trained_tokens=forest.num_stored, trained_predictions=len(forest.action_index))
    assert costs.flops(trained)["training"] == pytest.approx(counted, rel=0.05)


def test_pairs_of_a_forest_are_those_of_its_rollouts_with_shared_prompts_once():
    pairs = sum(map(causal_pairs, PROMPTS))
    pairs += sum(causal_pairs(n, p) for p, group in zip(PROMPTS, LENGTHS) for n in group)
    assert pack(groups_of(PROMPTS, LENGTHS)).pairs == pairs


def test_bytes_of_training_by_hand():
    ledger = Ledger(training_passes=3, trained_tokens=50, updates=2)
    # Three passes: weights twice, gradients read and written. Two updates: weights read and written, gradients read,
    # two moments read and written.
    assert COSTS.bytes(ledger)["training"] == 3 * 4 * 400 + 2 * 50 * 10 + 2 * (3 * 400 + 4 * 400)


def test_a_line_sums_the_phases_of_steps_and_says_nothing_where_costs_are_unknown():
    ledger = Ledger(
        rollouts=1, prompt_tokens=5, sampled_tokens=3, sampled_pairs=15, trained_tokens=8, eval_tokens=7
    )
    line = spent(COSTS, ledger)
    assert line["flops"] == sum(line[f"flops/{phase}"] for phase in PHASES)
    assert not any("eval" in key for key in line)
    assert spent(None, ledger) == {}
