"""Models of any size with random weights, by a name that spells their shape: what speed is measured on.

`qwen3:hidden=256,layers=4,heads=4,kv_heads=2,head_dim=64,ffn=768,vocab=98` is such a name.
"""

from __future__ import annotations

from typing import Any

from hone.core.errors import PolicyError, nearest
from hone.core.lazy import torch
from hone.policies.characters import VOCABULARY, character_tokenizer

# The words of a name, and what Hugging Face configurations call them.
KEYS = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ffn": "intermediate_size",
    "vocab": "vocab_size",
}
FAMILIES = ("qwen3", "qwen2", "llama")
CONTEXT = 32_768  # tokens
SMALLEST_VOCABULARY = 64  # digits and capital letters, of which prompts are made
FURTHER = (
    0x20000  # the first code point beyond ASCII that serves as a character: none from here on is a surrogate
)


def spelled(name: str) -> bool:
    """Whether `name` is meant to spell a shape."""
    return ":" in name and "=" in name.partition(":")[2] and "/" not in name


def parse(name: str) -> tuple[str, dict[str, int]]:
    """The family and the numbers of a shape. Raises PolicyError that says what is wrong with it."""
    family, _, body = name.partition(":")
    if family not in FAMILIES:
        raise PolicyError(f"`{name}` names no family of models: `{family}`.", nearest(family, FAMILIES))
    numbers: dict[str, int] = {}
    for word in body.split(","):
        key, _, value = (part.strip() for part in word.partition("="))
        if key not in KEYS:
            raise PolicyError(f"`{key}` is no part of a shape.", nearest(key, list(KEYS)))
        if not value.isdecimal() or int(value) < 1:
            raise PolicyError(f"`{key}` of the shape is `{value}`.", "It must be a positive whole number.")
        numbers[key] = int(value)
    missing = [key for key in KEYS if key not in numbers]
    if missing:
        raise PolicyError(
            f"The shape `{name}` does not say `{missing[0]}`.", f"A shape has all of {', '.join(KEYS)}."
        )
    _check(numbers)
    return family, numbers


def _check(numbers: dict[str, int]) -> None:
    """Raise PolicyError for numbers that do not fit together."""
    rules = [
        ("heads", numbers["heads"] % numbers["kv_heads"] == 0, "It must be a multiple of `kv_heads`."),
        ("head_dim", numbers["head_dim"] % 2 == 0, "It must be even: positions turn pairs."),
        ("vocab", numbers["vocab"] >= SMALLEST_VOCABULARY, f"It must be at least {SMALLEST_VOCABULARY}."),
    ]
    for key, good, rule in rules:
        if not good:
            raise PolicyError(f"`{key}` of the shape is {numbers[key]}.", rule)


def tokenizer(name: str) -> Any:
    """A tokenizer with a character for every token of the shape's vocabulary."""
    size = parse(name)[1]["vocab"]
    more = (chr(FURTHER + i) for i in range(size - len(VOCABULARY)))
    return character_tokenizer((*VOCABULARY[:size], *more))


def build(name: str, seed: int) -> tuple[Any, Any]:
    """A float32 model whose weights are a pure function of `name` and `seed`, and its tokenizer.

    Input and output embeddings are one matrix. The global random state of torch is left as it was.
    """
    import transformers

    family, numbers = parse(name)
    characters = tokenizer(name)
    config = transformers.AutoConfig.for_model(
        family,
        **{KEYS[key]: value for key, value in numbers.items()},
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=characters.pad_token_id,
        eos_token_id=characters.eos_token_id,
        bos_token_id=characters.bos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.eval(), characters
