"""Small models and trajectories that several test files build on."""

from __future__ import annotations

import numpy as np
import torch

from hone.core.problem import Problem
from hone.core.trajectory import Segment, Trajectory

VOCABULARY = 23


def tiny_model(kind: str = "qwen3", seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """A two-layer decoder of the named family with random weights."""
    import transformers

    shape = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "tie_word_embeddings": kind != "llama", "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(seed)
    name = {"qwen3": "Qwen3", "llama": "Llama", "qwen2": "Qwen2", "mistral": "Mistral", "gpt2": "GPT2"}[kind]
    if kind == "gpt2":
        shape = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
        shape |= {"bos_token_id": 1, "eos_token_id": 2}
    elif kind == "qwen3":
        shape["head_dim"] = 8
    elif kind == "mistral":
        shape["sliding_window"] = None
    config = getattr(transformers, f"{name}Config")(**shape)
    head = "GPT2LMHeadModel" if kind == "gpt2" else f"{name}ForCausalLM"
    model = getattr(transformers, head)(config).to(dtype)
    # Large weights make attention far from uniform, so that a wrong mask cannot hide.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    return model.eval()


class CharTokenizer:
    """One token a letter: the least a policy needs of a tokenizer."""

    eos_token_id = 2
    bos_token_id = 1
    chat_template = None

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [3 + (ord(c) - 97) % (VOCABULARY - 3) for c in text]}

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(chr(97 + i - 3) if i >= 3 else "" for i in ids)


def segment(rng: np.random.Generator, size: int, kind: str, parent: Segment | None = None) -> Segment:
    """Random tokens."""
    tokens = rng.integers(3, VOCABULARY, size).astype(np.int32)
    logprobs = rng.normal(size=size).astype(np.float32) if kind == "action" else None
    return Segment(tokens, kind, parent, logprobs)  # type: ignore[arg-type]


def trajectory(leaf: Segment, group: int = 0, rollout: int = 0, finish: str = "stop") -> Trajectory:
    """A trajectory that ends in `leaf`."""
    labels = {"group": group, "rollout": rollout}
    return Trajectory(Problem("p", "a", "t"), leaf, "", finish, labels)  # type: ignore[arg-type]


def groups_of(prompts: list[int], answers: list[list[int]], seed: int = 0) -> list[Trajectory]:
    """Single-turn groups: a prompt of each length, with answers of each length below it."""
    rng = np.random.default_rng(seed)
    out = []
    for g, (length, sizes) in enumerate(zip(prompts, answers)):
        prompt = segment(rng, length, "prompt")
        out += [trajectory(segment(rng, n, "action", prompt), g, i) for i, n in enumerate(sizes)]
    return out


def deep_tree(seed: int = 0) -> list[Trajectory]:
    """Prompt, shared action, an observation, and forked actions: shared action tokens at two depths."""
    rng = np.random.default_rng(seed)
    root = segment(rng, 6, "prompt")
    shared = segment(rng, 4, "action", root)
    seen = segment(rng, 3, "observation", shared)
    forks = [segment(rng, n, "action", seen) for n in (2, 5)]
    last = segment(rng, 3, "action", forks[1])
    return [
        trajectory(forks[0], 0, 0),
        trajectory(last, 0, 1),
        trajectory(segment(rng, 7, "action", root), 0, 2),
    ]


def keep_dtype_in_norms(model: torch.nn.Module) -> None:
    """Replace RMS norms, which cast to float32, by the same formula in the input's dtype."""

    def forward(self: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = forward.__get__(module)  # type: ignore[method-assign]
