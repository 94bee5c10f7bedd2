"""A run's memory plan: what is read of model, device and prompts, and what it settles that a recipe left at `auto`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hone.compute.memory import Machine, MemoryPlan, ModelShape, plan_memory
from hone.core.method import Method
from hone.core.problem import Task
from hone.core.recipe import Recipe
from hone.engines.cache import CACHE_SHARE, MOST_SLOTS, memory_bytes
from hone.kernels.logprobs import chunk_elements
from hone.policies.layers import decoder_layers
from hone.policies.token_policy import TokenPolicy

SETTLED = ("max_tokens_per_microbatch", "recompute_activations")  # keys whose `auto` memory decides
STEPS_WORTH_COMPILING = 50
LOOK_AHEAD = 32  # training problems whose prompts are measured


def plan_of(recipe: Recipe, method: Method, task: Task, policy: TokenPolicy) -> MemoryPlan:
    """The memory plan of a run: a pure function of its recipe, its model's shape and its device's whole memory."""
    prompt, answer = longest(recipe, method, task, policy)
    shape, machine = shape_of(policy), machine_of(policy)
    return plan_memory(recipe, method, shape, machine, prompt, answer, can_recompute(policy))


def can_recompute(policy: TokenPolicy) -> bool:
    """Whether the policy's architecture says where its layers are, so that they can run again."""
    return bool(decoder_layers(policy.model))


def settle(recipe: Recipe, plan: MemoryPlan) -> Recipe:
    """The recipe with the plan's numbers in place of `auto`."""
    numbers = {"max_tokens_per_microbatch": plan.max_tokens, "recompute_activations": plan.recompute}
    return recipe.model_copy(update={key: numbers[key] for key in SETTLED if getattr(recipe, key) == "auto"})


def adopt(recipe: Recipe, stored: Mapping[str, Any]) -> Recipe:
    """The recipe with what a run's own recipe.yaml has settled in place of `auto`."""
    known = {key: stored[key] for key in SETTLED if key in stored and getattr(recipe, key) == "auto"}
    return recipe.model_copy(update=known)


def shape_of(policy: TokenPolicy) -> ModelShape:
    """The sizes of a policy's model, from its config; a key that its architecture has no word for is the usual one."""
    config: Any = policy.model.config.get_text_config()
    weight = policy.model.get_input_embeddings().weight
    heads = config.num_attention_heads
    compute = policy.autocast or weight.dtype
    names = {name.rpartition(".")[2] for name, _ in policy.model.named_modules()}
    return ModelShape(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        ffn=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        vocabulary=config.vocab_size,
        tied=policy.model.get_output_embeddings().weight is weight,
        parameters=sum(p.numel() for p in policy.parameters()),
        weight_bytes=weight.dtype.itemsize,
        compute_bytes=compute.itemsize,
        qk_norm="q_norm" in names,
        fused=policy.fuses,
    )


def machine_of(policy: TokenPolicy) -> Machine:
    """The policy's device, and the limits that the engine and the logprob kernel keep on it."""
    kind = policy.device.type
    slots = MOST_SLOTS.get(kind, MOST_SLOTS["cpu"])
    return Machine(kind, memory_bytes(policy.device), CACHE_SHARE, slots, chunk_elements(policy.device))


def longest(recipe: Recipe, method: Method, task: Task, policy: TokenPolicy) -> tuple[int, int]:
    """Tokens of the longest prompt among the task's first problems, and tokens an answer may have.

    A demonstration may be longer than `max_completion_length`, which cuts only what is sampled. A longer prompt that
    comes later makes a pass of its own.
    """
    size = task.size("train")
    count = min(LOOK_AHEAD, recipe.problems_per_step, LOOK_AHEAD if size is None else size)
    problems = [task.problem(i) for i in range(count)]
    prompt = max((len(policy.encode(p.prompt)) for p in problems), default=1)
    answer = recipe.max_completion_length
    if not method.episode.samples:
        answers = [len(policy.encode_answer(p.oracle)) for p in problems if p.oracle is not None]
        answer = max([*answers, 1 if answers else answer])
    return prompt, answer


def notes(plan: MemoryPlan, recipe: Recipe, machine_kind: str) -> list[str]:
    """What a person should know of a plan before the first step."""
    out = []
    if machine_kind == "cuda" and recipe.steps >= STEPS_WORTH_COMPILING and not recipe.compile:
        out.append(
            "`compile=true` takes about half a minute and then makes updates faster: on an H200 twice as fast, for a "
            "model of 0.6 billion parameters"
        )
    if plan.recompute:
        out.append(
            "activations are made again in the backward pass, which is one more forward pass an update"
        )
    if not plan.fits:
        out.append(
            f"by the estimate this run does not fit: a pass of {plan.tokens:,} tokens keeps "
            f"{plan.activations / 2**30:,.1f} GiB of activations, and {max(0, plan.left) / 2**30:,.1f} GiB are left "
            "for them. Where memory runs out, passes are made smaller; a rollout that does not fit alone stops the run"
        )
    return out
