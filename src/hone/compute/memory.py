"""The memory plan: how many bytes each part of a run holds, and how many tokens a forward pass may have.

Plain arithmetic on the recipe, the model's shape and the device's whole memory. What is free at the moment never
enters, so the same run on the same machine is always cut in the same way. It is an estimate: workspaces of matrix
products, of attention that is not fused, and fragmentation are left to the part that is not handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hone.core.method import Method
from hone.core.recipe import Recipe

STEP = 256  # a resolved token budget is a multiple of it
SHARE = 0.5  # of what the fixed parts leave, for activations; the rest is for workspaces and fragmentation
# Tokens beyond which a pass is no faster. On a CPU larger arrays are given back to the system, and paged in, each time.
CAP = {"cpu": 8_192, "cuda": 131_072}
OPTIMIZER_BYTES = 8  # AdamW's two moments of a parameter, in float32
LOGIT_COPIES = 5  # float32 arrays as large as a chunk of logits that its backward pass holds at once


@dataclass(frozen=True)
class ModelShape:
    """A decoder's sizes. `weight_bytes` and `compute_bytes` are those of one number: of a weight (and of what runs
    between the layers), and of a linear layer's input in a forward pass."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    tied: bool  # the output embedding is the input embedding
    parameters: int  # distinct ones, a value head's included
    weight_bytes: int
    compute_bytes: int
    qk_norm: bool = False  # queries and keys are normalised, as in Qwen3
    fused: bool = (
        False  # a CPU's kernels serve it: norms and gates are single operations that keep their inputs alone
    )

    @property
    def casts(self) -> bool:
        """Whether forward passes run in another dtype than the weights'."""
        return self.compute_bytes != self.weight_bytes

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one sampled token."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.compute_bytes


@dataclass(frozen=True)
class Machine:
    """What a run may use. `memory` is the device's whole memory in bytes."""

    device: str  # its type: cpu, cuda
    memory: int
    cache_share: (
        float  # of the memory that the engine gives to prefixes, and to rollouts' own tokens, at most
    )
    most_slots: int  # rollouts that the engine decodes at once, at most
    chunk_elements: int  # logits that the logprob kernel holds at once

    @property
    def cap(self) -> int:
        """The most tokens that a resolved budget has."""
        return CAP.get(self.device, CAP["cpu"])


@dataclass(frozen=True)
class MemoryPlan:
    """Where the memory goes. `fixed` are the bytes of each part that does not grow with a pass's tokens, by name."""

    machine: Machine
    fixed: Mapping[str, int]
    unit: int  # stored tokens of the longest unit that no micro-batch splits, prompt included
    largest: int  # stored tokens of a whole update with answers at full length
    per_token: int  # bytes of activations that a stored token leaves for the backward pass
    recompute: bool  # whether layers are run again in the backward pass
    max_tokens: int  # stored tokens of one forward pass
    prompt: int  # tokens of the longest prompt that was looked at
    answer: int  # tokens an answer may have

    @property
    def left(self) -> int:
        """Bytes that the fixed parts leave; negative if they alone are too large."""
        return self.machine.memory - sum(self.fixed.values())

    @property
    def tokens(self) -> int:
        """Stored tokens of the largest pass: the budget, or the whole update, or a unit larger than the budget."""
        return max(self.unit, min(self.max_tokens, self.largest))

    @property
    def activations(self) -> int:
        """Bytes that the largest pass leaves for its backward pass."""
        return self.tokens * self.per_token

    @property
    def fits(self) -> bool:
        """Whether the estimate says that the run has room."""
        return self.activations <= self.left


def generations_of(recipe: Recipe, method: Method) -> int:
    """Rollouts, or demonstrations, of one problem. A demonstration without a mix is the problem's one oracle."""
    oracles = (
        not method.episode.samples and recipe.episode is not None and not recipe.episode.options.get("mix")
    )
    return 1 if oracles else recipe.num_generations


def activation_bytes(shape: ModelShape, recompute: bool = False) -> int:
    """Bytes that one stored token leaves for the backward pass, over all layers.

    What autograd keeps of a decoder layer of the Llama family, in numbers of one token (D hidden size, q and k the
    widths of all queries and of all keys, F the feed-forward width). Between layers, in the weights' dtype: input and
    normalised input of both norms, 4 D. In the linear layers' dtype: their inputs, 2 D (5 D if each linear layer casts
    its own copy); queries, keys, values and output of attention, 2 q + 2 k; gate, its activation, up, and their
    product, 4 F. Norms of queries and keys keep q + k twice, before and after. In float32: the statistics of norms,
    and attention's log-sum-exp. After the last layer come the final norm and the predictors' states.

    Single operations (`fused`) keep no normalised input, no activation of the gate, and of queries and keys only those
    before their norms. With `recompute` a layer keeps its input alone, and one layer at a time has the rest.
    """
    width, w, c = shape.hidden, shape.weight_bytes, shape.compute_bytes
    q, k = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    inputs = 5 if shape.casts else 2
    copies = 1 if shape.fused else 2  # of what a norm reads
    gates = 2 + copies
    layer = 2 * copies * width * w + (inputs * width + 2 * q + 2 * k + gates * shape.ffn) * c
    layer += 4 * (2 + shape.heads)
    if shape.qk_norm:
        layer += (q + k) * (w + (copies - 1) * c) + 4 * (shape.heads + shape.kv_heads)
    ends = (
        copies * width * w + width * c + 40
    )  # the last: token, place, predictor, normaliser, entropy, log-normaliser
    if recompute:
        return shape.layers * width * w + layer + ends
    return shape.layers * layer + ends


def plan_memory(
    recipe: Recipe,
    method: Method,
    shape: ModelShape,
    machine: Machine,
    prompt: int,
    answer: int,
    can_recompute: bool = True,
) -> MemoryPlan:
    """The plan of a run whose prompts have up to `prompt` tokens and whose answers up to `answer`.

    A key that the recipe leaves at `auto` is resolved: `max_tokens_per_microbatch` to what fits into half of what the
    fixed parts leave, at most `CAP`, rounded down to a multiple of 256, and at least one unit;
    `recompute_activations` to true if one unit does not fit otherwise. A unit is a rollout with its prompt, or a whole
    group where the method couples groups.
    """
    generations = generations_of(recipe, method)
    unit = prompt + answer * (generations if method.couples == "group" else 1)
    groups = -(-recipe.problems_per_step // recipe.minibatches)
    fixed = _fixed(recipe, method, shape, machine, prompt)
    room = SHARE * max(0, machine.memory - sum(fixed.values()))
    if recipe.recompute_activations == "auto":
        recompute = can_recompute and unit * activation_bytes(shape) > room
    else:
        recompute = recipe.recompute_activations
    per_token = activation_bytes(shape, recompute)
    if recipe.max_tokens_per_microbatch == "auto":
        fitting = min(machine.cap, int(room // per_token)) // STEP * STEP
        max_tokens = max(fitting, -(-unit // STEP) * STEP)
    else:
        max_tokens = recipe.max_tokens_per_microbatch
    largest = groups * (prompt + answer * generations)
    return MemoryPlan(machine, fixed, unit, largest, per_token, recompute, max_tokens, prompt, answer)


def _fixed(
    recipe: Recipe, method: Method, shape: ModelShape, machine: Machine, prompt: int
) -> dict[str, int]:
    """Bytes of each part that does not grow with a pass's tokens."""
    parameters, table = shape.parameters, shape.vocabulary * shape.hidden
    parts = {"weights": parameters * shape.weight_bytes}
    if recipe.one_step_off:
        parts["weights that sample ahead"] = parameters * shape.weight_bytes
    if shape.casts:
        parts["weights, copy for sampling"] = parameters * shape.compute_bytes
        cast = parameters if shape.tied else parameters - table  # looking an embedding up casts nothing
        parts["weights, casts of a pass"] = cast * shape.compute_bytes
    parts["gradients"] = parameters * shape.weight_bytes
    parts["optimizer state"] = parameters * OPTIMIZER_BYTES
    if "reference_logprobs" in method.needs:
        parts["reference weights"] = parameters * shape.weight_bytes
    problems, rollouts = recipe.eval.problems, recipe.eval.problems * recipe.eval.samples
    if method.episode.samples:
        problems = max(problems, recipe.problems_per_step)
        rollouts = max(rollouts, recipe.problems_per_step * recipe.num_generations)
    most = int(machine.cache_share * machine.memory)
    slot = recipe.max_completion_length * shape.cache_bytes
    slots = max(1, min(most // slot, machine.most_slots, rollouts))
    if shape.fused and parts["weights"] <= most:
        parts["weights, packed for sampling"] = parts["weights"]
    parts["sampling, prompts"] = min(most, problems * prompt * shape.cache_bytes)
    parts["sampling, answers"] = slots * slot
    logits = min(machine.chunk_elements, machine.cap * shape.vocabulary)
    parts["logits"] = (
        LOGIT_COPIES * logits * 4 + 2 * table * shape.compute_bytes
    )  # and the head's gradient, twice
    return parts


def count_passes(
    groups: int, generations: int, prompt: int, answer: int, max_tokens: int, coupled: bool = False
) -> int:
    """Micro-batches of `groups` groups of equal lengths, cut as the trainer cuts them: siblings share their prompt, a
    pass begins anew where the next unit would exceed `max_tokens`, and every pass has at least one unit."""
    rollouts = generations if coupled else 1
    passes = used = 0
    for unit in range(groups * generations // rollouts):
        begins = unit * rollouts % generations == 0  # the first unit of its group brings the prompt
        cost = rollouts * answer + (prompt if begins else 0)
        if not passes or used + cost > max_tokens:
            passes, used, cost = passes + 1, 0, rollouts * answer + prompt
        used += cost
    return passes
