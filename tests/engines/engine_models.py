"""Micro models of every family, and the least of a policy that an engine needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import transformers

from hone.core.noise import NoiseKey
from hone.core.sampling import Completion, SampleRequest, SamplingParams

VOCABULARY = "_$abcdefghij\n .0"  # token 1, `$`, ends a completion
FAMILIES = {
    "llama": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 8}),
    "mistral": ("Mistral", {"sliding_window": None, "num_key_value_heads": 1}),
    "smollm": ("Llama", {"tie_word_embeddings": True, "hidden_size": 24, "num_attention_heads": 3,
                         "num_key_value_heads": 1}),
    "smollm3": ("SmolLM3", {"num_hidden_layers": 3, "no_rope_layers": [1, 0, 1], "mlp_bias": True}),
    "scaled": ("Llama", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4,
                                             "original_max_position_embeddings": 16}}),
}  # fmt: skip


class Letters:
    """A tokenizer of single characters."""

    eos_token_id = 1

    def __len__(self) -> int:
        return len(VOCABULARY)

    def encode(self, text: str) -> np.ndarray:
        return np.array([VOCABULARY.index(c) for c in text], np.int32)

    def decode(self, tokens: list[int], **options: bool) -> str:
        return "".join(VOCABULARY[t] for t in tokens)

    def convert_ids_to_tokens(self, token: int) -> str:
        return VOCABULARY[token]


@dataclass
class Policy:
    model: Any
    tokenizer: Any = field(default_factory=Letters)
    version: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    autocast: torch.dtype | None = None


def make_model(family: str = "qwen3", **changes: Any) -> Any:
    """A random model with logits spread enough that tokens differ."""
    name, options = FAMILIES[family]
    sizes = {
        "vocab_size": len(VOCABULARY), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "bos_token_id": None, "eos_token_id": 1, "pad_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**(sizes | options | changes))
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3 if parameter.dim() > 1 else 0.5)
    return model


def policy(
    family: str = "qwen3",
    dtype: torch.dtype = torch.float32,
    autocast: torch.dtype | None = None,
    **changes: Any,
) -> Policy:
    return Policy(make_model(family, **changes).to(dtype), autocast=autocast)


def request(
    prefix: str, n: int = 4, max_tokens: int = 8, path: tuple[int, ...] = (0,), seed: int = 0, **params: Any
) -> SampleRequest:
    return SampleRequest(
        Letters().encode(prefix), n, SamplingParams(max_tokens, **params), NoiseKey(seed, path=path)
    )


def forward_logits(model: Any, prefix: np.ndarray, completion: Completion) -> torch.Tensor:
    """Logits of every sampled token from one full forward pass of the Hugging Face module: [length, vocabulary]."""
    model.eval()
    tokens = torch.from_numpy(np.concatenate([prefix, completion.tokens]).astype(np.int64)).to(model.device)
    with torch.no_grad():
        logits = model(tokens[None]).logits[0]
    return logits[len(prefix) - 1 : -1]


def tokens_of(results: list[list[Completion]]) -> list[list[list[int]]]:
    return [[c.tokens.tolist() for c in group] for group in results]


def check_greedy(
    subject: Policy,
    asked: list[SampleRequest],
    got: list[list[Completion]],
    want: list[list[Completion]],
    tie: float,
) -> None:
    """Single greedy completions are equal up to a token whose two largest logits differ by less than `tie`."""
    for ask, (a,), (b,) in zip(asked, got, want):
        shortest = min(len(a.tokens), len(b.tokens))
        different = np.flatnonzero(a.tokens[:shortest] != b.tokens[:shortest])
        if len(different):
            top = forward_logits(subject.model, ask.prefix, b)[different[0]].topk(2).values
            assert top[0] - top[1] < tie
        else:
            assert len(a.tokens) == len(b.tokens)
        assert not a.logprobs.any()
