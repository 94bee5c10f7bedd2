"""The embedded models: sizes, and weights that depend on the seed alone."""

from __future__ import annotations

import pytest
import torch

from hone.policies.embedded import build, micro_config, sprout_config


@pytest.mark.parametrize(("config", "most"), [(sprout_config, 3_500_000), (micro_config, 50_000)])
def test_size_and_ties(config, most):
    model, tokenizer = build(config(), seed=0)
    assert sum(p.numel() for p in model.parameters()) <= most
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert next(model.parameters()).dtype == torch.float32


def test_weights_are_a_function_of_the_seed_and_leave_torchs_state_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (build(micro_config(), seed)[0].state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_saved_model_loads_with_plain_transformers(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = build(micro_config(), seed=0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([AutoTokenizer.from_pretrained(tmp_path).encode("S.G\n>")])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
