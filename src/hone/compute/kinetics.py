"""What completions cost when the traffic of the key-value cache is counted: floating-point work, and bytes read for it.

Source: Kinetics (arXiv 2506.05333).
"""

from __future__ import annotations

from dataclasses import dataclass

from hone.compute.cost import Decoder
from hone.core.errors import DataError

# Operations that the hardware does in the time of one byte from memory: 4.5e15 a second against 8e12 bytes.
INTENSITY = 562.5


@dataclass(frozen=True)
class TopK:
    """Block top-k attention: each step reads `budget` cached tokens, found by scoring one key for each `block`."""

    budget: int
    block: int = 16

    def __post_init__(self) -> None:
        if self.budget < 1 or self.block < 1:
            raise DataError(
                f"Top-k attention with budget {self.budget} and block {self.block}.", "Both are at least 1."
            )


@dataclass(frozen=True)
class CompletionCost:
    """Operations of matrices and attention, and bytes of keys and values that are read, in 16-bit numbers."""

    flops: int
    cache_bytes: int

    def total(self, intensity: float = INTENSITY) -> float:
        """Operations, with bytes as the operations that the hardware would do in their time."""
        return self.flops + intensity * self.cache_bytes


def all_parameters(shape: Decoder) -> int:
    """All numbers of a model with two embeddings, as the source counts. The input embedding is a look-up and no
    product, so that small models with large vocabularies are charged too much: 18% at 1.7 billion."""
    return shape.weights + shape.hidden * shape.vocab


def completion_cost(
    shape: Decoder, prompt: int, length: int, samples: int = 1, attention: TopK | None = None
) -> CompletionCost:
    """`samples` completions of `length` tokens below one prompt of `prompt` tokens.

    Dense: operations samples * (2 P length + 2 (2 prompt + length) length D_q), bytes 2 (2 prompt + samples length)
    length D_kv: the prompt's cache is read once for all samples. D_q is layers x heads x head_dim, D_kv the same of
    key-value heads. Weights are not read: a large batch shares them. The prompt's own pass is left out.

    With `attention` a step reads its budget in place of the context, of the prompt's tokens each sample its own, and
    scores the blocks. A budget that holds prompt and completion is dense. DataError for counts that are not positive
    (`prompt` may be 0).
    """
    if prompt < 0 or length < 1 or samples < 1:
        raise DataError(
            f"A completion with prompt {prompt}, length {length}, samples {samples}.",
            "Length and samples are at least 1, and the prompt at least 0.",
        )
    queries = shape.layers * shape.heads * shape.head_dim
    cached = shape.layers * shape.kv_heads * shape.head_dim
    matrices = 2 * all_parameters(shape) * length
    if attention is None or attention.budget >= prompt + length:
        flops = matrices + 2 * (2 * prompt + length) * length * queries
        return CompletionCost(samples * flops, 2 * (2 * prompt + samples * length) * length * cached)
    read = 4 * attention.budget * length
    scored = (2 * prompt + length) // attention.block * length
    scored_keys = (2 * prompt + samples * length) // attention.block * length
    flops = matrices + (read + scored) * queries
    return CompletionCost(samples * flops, (samples * read + scored_keys) * cached)
