from __future__ import annotations

import torch

import hone
from hone.policies.loading import SPROUT, load_policy
from hone.policies.shipping import HASHES, LIMIT, digest, ship


def test_the_shipped_files_are_those_that_were_measured():
    lines = (SPROUT / HASHES).read_text().splitlines()
    recorded = dict(reversed(line.split("  ")) for line in lines)
    assert "model.safetensors" in recorded
    for name, value in recorded.items():
        assert digest(SPROUT / name) == value, name
    assert sum(p.stat().st_size for p in SPROUT.iterdir()) <= LIMIT


def test_plain_transformers_loads_it():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(SPROUT)
    assert model.config.model_type == "qwen3"
    assert model.dtype == torch.bfloat16
    assert sum(p.numel() for p in model.parameters()) <= 3_500_000
    assert AutoTokenizer.from_pretrained(SPROUT).decode([40]) == load_policy("sprout").tokenizer.decode([40])


def test_it_solves_some_mazes_and_could_solve_many_more():
    """Something to sharpen and something to discover, on the demo's task and settings."""
    line = hone.evaluate(
        "sprout", {"name": "maze", "sizes": 9}, k=[1, 32], problems=100, samples=32, max_completion_length=40
    )
    assert 0.1 <= line["pass@1"]["value"] <= 0.5
    assert line["pass@32"]["low"] > 2 * line["pass@1"]["high"]


def test_shipping_rounds_to_bfloat16_and_records_hashes(tmp_path):
    load_policy("micro:new", seed=5).save(tmp_path / "final")
    hashes = ship(tmp_path / "final", tmp_path / "packed")
    assert (tmp_path / "packed" / HASHES).read_text().startswith(hashes["model.safetensors"])
    packed = load_policy(str(tmp_path / "packed"))
    original = load_policy("micro:new", seed=5)
    for a, b in zip(packed.parameters(), original.parameters()):
        assert torch.equal(a, b.bfloat16().float())
