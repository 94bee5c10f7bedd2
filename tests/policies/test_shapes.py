"""Models whose name spells their shape."""

from __future__ import annotations

import pytest
import torch

from hone.core.errors import PolicyError
from hone.policies import shapes
from hone.policies.loading import load_policy, load_tokenizer

SHAPE = "hidden=32,layers=2,heads=2,kv_heads=1,head_dim=16,ffn=64,vocab=98"


@pytest.mark.parametrize("family", shapes.FAMILIES)
def test_a_shape_is_a_policy_drawn_from_its_seed(family):
    name = f"{family}:{SHAPE}"
    one, same, other = (load_policy(name, device="cpu", seed=seed) for seed in (3, 3, 4))
    config = one.model.config
    assert config.model_type == family
    assert (config.hidden_size, config.num_hidden_layers, config.intermediate_size) == (32, 2, 64)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, 1, 16)
    assert one.model.lm_head.weight is one.model.model.embed_tokens.weight
    assert one.shares_prefixes
    layer = "model.layers.1.mlp.up_proj.weight"
    weights = [p.model.state_dict()[layer] for p in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("vocab", [64, 98, 300])
def test_its_tokenizer_has_a_character_for_every_token(vocab):
    tokenizer = load_tokenizer(f"qwen3:{SHAPE.replace('98', str(vocab))}")
    assert len(tokenizer) == vocab
    text = tokenizer.decode(list(range(4, vocab)))
    assert tokenizer(text)["input_ids"] == list(range(4, vocab))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qwen4:" + SHAPE, "Did you mean `qwen"),
        ("qwen3:" + SHAPE.replace("hidden", "hiden"), "`hiden` is no part of a shape. Did you mean `hidden`"),
        ("qwen3:" + SHAPE.replace("layers=2,", ""), "does not say `layers`"),
        ("qwen3:" + SHAPE.replace("ffn=64", "ffn=many"), "`ffn` of the shape is `many`"),
        ("qwen3:" + SHAPE.replace("ffn=64", "ffn=0"), "`ffn` of the shape is `0`"),
        ("qwen3:" + SHAPE.replace("heads=2", "heads=3").replace("kv_heads=1", "kv_heads=2"), "a multiple of"),
        ("qwen3:" + SHAPE.replace("head_dim=16", "head_dim=15"), "It must be even"),
        ("qwen3:" + SHAPE.replace("98", "10"), "at least 64"),
    ],
)
def test_a_bad_shape_is_refused(name, said):
    with pytest.raises(PolicyError) as refused:
        load_policy(name, device="cpu")
    assert said in f"{refused.value.what} {refused.value.mend}"
