"""The embedded models: `sprout`, which the demo trains, and `micro` for tests; built from a seed alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hone.policies.characters import VOCABULARY, character_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

CONTEXT = 1024  # tokens; a size 21 maze is 381 characters


def sprout_config() -> Qwen3Config:
    """A decoder of 0.6 million parameters: small enough to sample and train on two CPU cores."""
    return _config(hidden=128, intermediate=256, layers=4, heads=4, kv_heads=2, head_dim=32)


def micro_config() -> Qwen3Config:
    """A decoder of under 50,000 parameters for tests."""
    return _config(hidden=32, intermediate=64, layers=2, heads=2, kv_heads=1, head_dim=16)


def build(config: Qwen3Config, seed: int) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """A fresh float32 model whose weights are a pure function of `config` and `seed`, with its tokenizer.

    The global random state of torch is left as it was.
    """
    import torch
    from transformers import Qwen3ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    return model, character_tokenizer()


def _config(
    *, hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, head_dim: int
) -> Qwen3Config:
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=len(VOCABULARY),
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.05,  # nearer to 1 / sqrt(hidden size) than the 0.02 of large models
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},  # wavelengths of 6 to 600 characters
        pad_token_id=VOCABULARY.index("<pad>"),
        eos_token_id=VOCABULARY.index("<eos>"),
        bos_token_id=VOCABULARY.index("<bos>"),
        dtype="float32",
    )
