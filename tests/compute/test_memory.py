"""The memory plan: activations against what autograd really keeps, and the rest against numbers worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import transformers

from builders import VOCABULARY, CharTokenizer, groups_of
from hone.catalog import build_method
from hone.compute.memory import (
    Machine,
    ModelShape,
    activation_bytes,
    count_passes,
    plan_memory,
)
from hone.core.forest import pack
from hone.policies import token_policy
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.microbatch import microbatches
from hone.training.planning import shape_of

GIB = 2**30
SMALL = ModelShape(
    layers=28, hidden=1024, heads=16, kv_heads=8, head_dim=128, ffn=3072, vocabulary=151_936, tied=True,
    parameters=596_049_920, weight_bytes=4, compute_bytes=2, qk_norm=True,
)  # fmt: skip
GPU = Machine("cuda", 80 * GIB, 0.125, 1024, 1 << 24)
CPU = Machine("cpu", 16 * GIB, 0.125, 512, 1 << 24)


def policy(family: str, layers: int, autocast: torch.dtype | None) -> TokenPolicy:
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": layers,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24, "max_position_embeddings": 512,
        "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    config = getattr(transformers, f"{family}Config")(**sizes)
    return TokenPolicy(getattr(transformers, f"{family}ForCausalLM")(config), CharTokenizer(), autocast)


def kept(subject: TokenPolicy, answers: list[list[int]]) -> float:
    """Bytes a stored token leaves for the backward pass: every distinct storage but the weights and their casts."""
    forest = pack(groups_of([40] * len(answers), answers))
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        if saved.shape not in weights:
            storages[saved.untyped_storage().data_ptr()] = saved.untyped_storage()
        return saved

    weights = {shape for p in subject.parameters() for shape in (p.shape, p.shape[::-1])}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        scores = subject.score(forest, entropy=True)
    scores.logprobs.sum().backward()
    return sum(s.nbytes() for s in storages.values()) / forest.num_stored


@pytest.mark.parametrize("family", ["Qwen3", "Llama"])
@pytest.mark.parametrize(("autocast", "fuses"), [(None, True), (None, False), (torch.bfloat16, False)])
def test_activations_are_what_autograd_keeps(
    family: str, autocast: torch.dtype | None, fuses: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(token_policy, "can_fuse", lambda model: fuses)
    subject = policy(family, 4, autocast)
    assert subject.shares_prefixes
    want = kept(subject, [[90, 70, 110], [60, 100]])
    assert activation_bytes(shape_of(subject)) == pytest.approx(want, rel=0.15)


def test_recomputation_keeps_the_input_of_a_layer_and_one_layer_whole():
    deep, single = policy("Qwen3", 6, None), policy("Qwen3", 1, None)
    whole = kept(single, [[90, 70]])
    deep.model.train()
    deep.model.gradient_checkpointing_enable({"use_reentrant": True})
    deep.model.enable_input_require_grads()
    inputs = kept(deep, [[90, 70]])
    shape = shape_of(deep)
    assert activation_bytes(shape, recompute=True) == pytest.approx(inputs + whole, rel=0.25)
    assert activation_bytes(shape, recompute=True) < activation_bytes(shape) / 2


def plan(machine: Machine, prompt: int = 500, shape: ModelShape = SMALL, **keys):
    recipe = {"task": "maze", "num_generations": 8, "problems_per_step": 64, "max_completion_length": 1024}
    recipe = resolve({**recipe, "eval": {"problems": 10, "samples": 4}, **keys})[0]
    return plan_memory(
        recipe, build_method(recipe), shape, machine, prompt, int(keys.get("max_completion_length", 1024))
    )


def test_the_fixed_parts_by_hand():
    found = plan(GPU, kl={"name": "loss", "beta": 0.1}).fixed
    n, table = SMALL.parameters, SMALL.vocabulary * SMALL.hidden
    token = 2 * 28 * 8 * 128 * 2  # keys and values of a token in bfloat16
    assert found == {
        "weights": 4 * n,
        "weights, copy for sampling": 2 * n,
        "weights, casts of a pass": 2 * n,
        "gradients": 4 * n,
        "optimizer state": 8 * n,
        "reference weights": 4 * n,
        "sampling, prompts": 64 * 500 * token,
        "sampling, answers": 10 * GIB // (1024 * token) * 1024 * token,  # fewer slots than the 512 rollouts
        "logits": 5 * 4 * (1 << 24) + 2 * 2 * table,
    }
    assert 10 * GIB // (1024 * token) < 512
    plain = plan(GPU, shape=dataclasses.replace(SMALL, compute_bytes=4))
    assert not [name for name in plain.fixed if "," in name and name.startswith("weights")]
    assert "reference weights" not in plan(GPU).fixed
    assert plan(GPU, one_step_off=True, correction="importance").fixed["weights that sample ahead"] == 4 * n
    untied = dataclasses.replace(SMALL, tied=False, parameters=n + table)
    assert plan(GPU, shape=untied).fixed["weights, casts of a pass"] == 2 * n


def test_the_budget_is_half_of_what_is_left_in_whole_steps():
    found = plan(GPU)
    assert found.max_tokens % 256 == 0
    assert found.max_tokens * found.per_token <= found.left / 2 < (found.max_tokens + 256) * found.per_token
    assert not found.recompute
    assert found.fits
    huge = dataclasses.replace(GPU, memory=2000 * GIB)
    assert plan(huge).max_tokens == 131_072
    assert plan(GPU, max_tokens_per_microbatch=5_000).max_tokens == 5_000


def test_a_cpu_keeps_its_tokens_unless_memory_forbids():
    tiny = ModelShape(4, 128, 4, 2, 32, 256, 100, True, 600_000, 4, 4, True)
    assert plan(CPU, shape=tiny).max_tokens == 8_192
    small = plan(dataclasses.replace(CPU, memory=GIB // 2), shape=tiny)
    assert 256 <= small.max_tokens < 8_192
    assert small.max_tokens % 256 == 0


def test_one_unit_always_fits_the_budget_and_recomputation_comes_when_it_is_needed():
    tight = dataclasses.replace(GPU, memory=20 * GIB)
    long = plan(tight, max_completion_length=3_000)
    assert long.recompute
    assert long.fits
    assert long.max_tokens >= long.unit == 3_500
    assert not plan(tight, max_completion_length=3_000, recompute_activations=False).recompute
    assert plan(GPU, recompute_activations=True).recompute
    grouped = plan(
        GPU, credit="grpo", objective="ppo_clip", reduction="token_mean",
        correction={"name": "importance", "level": "sequence"},
    )  # fmt: skip
    assert grouped.unit == 1_524
    none = plan(dataclasses.replace(GPU, memory=8 * GIB))
    assert not none.fits
    assert none.max_tokens == 1_536  # one unit of 1,524, in whole steps
    recipe = resolve({"task": "maze"})[0]
    cannot = plan_memory(recipe, build_method(recipe), SMALL, CPU, 9_000, 9_000, can_recompute=False)
    assert not cannot.recompute


def test_coupled_groups_are_one_unit():
    recipe = resolve({"task": "maze", "num_generations": 8})[0]
    method = build_method(recipe)
    coupled = dataclasses.replace(
        method, kl_loss=type("Coupled", (), {"couples": "group", "needs": frozenset()})()
    )
    assert plan_memory(recipe, coupled, SMALL, GPU, 100, 50).unit == 100 + 8 * 50
    assert plan_memory(recipe, method, SMALL, GPU, 100, 50).unit == 150


@pytest.mark.parametrize("couples", ["token", "group"])
@pytest.mark.parametrize("budget", [1, 13, 20, 31, 47, 1000])
def test_passes_are_counted_as_the_trainer_cuts_them(couples: str, budget: int):
    trajectories = groups_of([10] * 5, [[6] * 4] * 5)
    groups = [t.labels["group"] for t in trajectories]
    want = len(list(microbatches(trajectories, groups, budget, couples)))
    assert count_passes(5, 4, 10, 6, budget, couples == "group") == want
