"""What decoders cost: floating-point operations of a forward pass, and bytes that sampling has to read.

A product of an m×k and a k×n matrix is 2mkn operations. Only matrix products are counted: norms, activations and
softmax are a small part of any decoder's arithmetic, and no matrix unit does them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hone.core.errors import PolicyError

_CONFIG = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "ffn": "intermediate_size",
    "vocab": "vocab_size",
}


@dataclass(frozen=True)
class Decoder:
    """The shape of a decoder of the Llama family: grouped-query attention and a gated feed-forward part."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int

    @classmethod
    def of(cls, config: Any) -> Decoder:
        """The shape that a Hugging Face configuration describes. Raises PolicyError if it describes another kind."""
        missing = [name for name in _CONFIG.values() if not isinstance(getattr(config, name, None), int)]
        if missing:
            raise PolicyError(
                f"The cost of models of type `{config.model_type}` is not known: no `{missing[0]}`.",
                "Use a decoder of the Llama family.",
            )
        shape = {key: getattr(config, name) for key, name in _CONFIG.items()}
        head_dim = getattr(config, "head_dim", None) or shape["hidden"] // shape["heads"]
        return cls(head_dim=head_dim, **shape)

    @property
    def layer_weights(self) -> int:
        """Numbers in the matrices of one layer."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return attention + 3 * self.hidden * self.ffn

    @property
    def weights(self) -> int:
        """Numbers in all matrices that a pass multiplies by: every layer's, and the output embedding."""
        return self.layers * self.layer_weights + self.hidden * self.vocab

    @property
    def cache(self) -> int:
        """Numbers that keys and values of one token take, in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    def flops_per_token(self) -> int:
        """Operations of the layers' matrices on one token."""
        return 2 * self.layers * self.layer_weights

    def flops_per_prediction(self) -> int:
        """Operations of the output embedding on one token whose logits are wanted."""
        return 2 * self.hidden * self.vocab

    def flops_per_pair(self) -> int:
        """Operations of attention for one token that reads one other: a score and a weighted value in every head."""
        return 4 * self.layers * self.heads * self.head_dim

    def forward_flops(self, tokens: int, predictions: int, pairs: int) -> int:
        """Operations of a pass over `tokens`, of which `predictions` get logits and that read `pairs` in all."""
        return (
            tokens * self.flops_per_token()
            + predictions * self.flops_per_prediction()
            + pairs * self.flops_per_pair()
        )


@dataclass(frozen=True)
class Work:
    """Floating-point operations, and bytes that have to be read for them."""

    flops: int
    bytes: int


def causal_pairs(length: int, before: int = 0) -> int:
    """How many tokens `length` tokens read in all: each the `before` ones, those of its own run, and itself."""
    return length * before + length * (length + 1) // 2


def training_flops(forward: int, recomputed: bool = False) -> int:
    """Operations of a pass with gradient: the backward part is two forward ones, and one more if it recomputes."""
    return (4 if recomputed else 3) * forward


def decode_step_bytes(
    decoder: Decoder, own: Sequence[int], prefixes: Sequence[int], weight_bytes: int, cache_bytes: int
) -> int:
    """Bytes that one more token of every rollout reads: all weights, each rollout's `own` tokens so far, and each
    shared prefix once for all rollouts below it. `weight_bytes` and `cache_bytes` are those of one number."""
    return decoder.weights * weight_bytes + decoder.cache * cache_bytes * (sum(own) + sum(prefixes))


@dataclass(frozen=True)
class Reading:
    """What sampling has to compute and read, counted without a model: tokens that pass through the layers, tokens whose
    logits are wanted, pairs of attention, passes that read all weights, and tokens of caches that are read."""

    tokens: int
    predictions: int
    pairs: int
    passes: int
    cache: int


def sampling_reading(prompts: Sequence[int], lengths: Sequence[Sequence[int]]) -> Reading:
    """The least that sampling takes: `lengths[p]` tokens of each rollout below a prompt of `prompts[p]` tokens.

    Prompts are computed once; all rollouts run side by side from the first step on and none waits for a place. A
    rollout's first token comes from its prompt's pass, so it is decoded one time less than it has tokens.
    """
    every = [length for group in lengths for length in group]
    pairs = sum(causal_pairs(p) for p in prompts)
    pairs += sum(causal_pairs(n - 1, p) for p, group in zip(prompts, lengths, strict=True) for n in group)
    cache = sum(causal_pairs(n - 1) for n in every)
    cache += sum(p * (max(group) - 1) for p, group in zip(prompts, lengths, strict=True))
    passes = max(every)  # the prompts' and one for each further token of the longest rollout
    return Reading(sum(prompts) + sum(every) - len(every), sum(every), pairs, passes, cache)


def sampling_work(
    decoder: Decoder, prompts: Sequence[int], lengths: Sequence[Sequence[int]], number_bytes: int
) -> Work:
    """What `sampling_reading` comes to with this decoder, whose weights and caches have numbers of `number_bytes`."""
    least = sampling_reading(prompts, lengths)
    flops = decoder.forward_flops(least.tokens, least.predictions, least.pairs)
    return Work(flops, number_bytes * (least.passes * decoder.weights + least.cache * decoder.cache))


def rollout_flops(decoder: Decoder, prompts: Sequence[int], lengths: Sequence[Sequence[int]]) -> int:
    """Operations of one forward pass over the same rollouts: each prompt once, logits for sampled tokens alone.

    The last token of a rollout predicts nothing, but every trainer computes it, and so it is counted.
    """
    every = [length for group in lengths for length in group]
    pairs = sum(causal_pairs(p) for p in prompts)
    pairs += sum(causal_pairs(n, p) for p, group in zip(prompts, lengths, strict=True) for n in group)
    return decoder.forward_flops(sum(prompts) + sum(every), sum(every), pairs)
