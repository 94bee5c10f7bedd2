"""`hone bench`: what it prints, and what it refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hone.cli import bench, main

MICRO = "qwen3:hidden=32,layers=2,heads=2,kv_heads=1,head_dim=16,ffn=64,vocab=98"
SMALL = ("--device", "cpu", "--problems", "2", "--generations", "2", "--prompt", "5", "--completion", "8")


@pytest.fixture(autouse=True)
def quick_limits(monkeypatch):
    """Limits of small products and copies: what is printed is tested, not the machine."""
    monkeypatch.setattr("hone.training.bench.limits.SIZES", {"cpu": (32,)})
    monkeypatch.setattr("hone.training.bench.limits.COPIED", {"cpu": 1 << 12})


def call(*words: str):
    return CliRunner().invoke(main.app, ["bench", *words], env={"COLUMNS": "80"})


def test_json_has_every_part():
    result = call("--model", MICRO, *SMALL, "--lengths", "realistic", "--rounds", "2", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == {
        "model", "workload", "generate", "train", "step", "limits", "share", "memory", "notes",
    }  # fmt: skip
    model = found["model"]
    assert (model["name"], model["dtype"], model["type"], model["engine"]) == (
        MICRO,
        "float32",
        "qwen3",
        "native",
    )
    layer = 32 * 16 * (2 * 2 + 2 * 1) + 3 * 32 * 64 + 2 * 32 + 2 * 16
    assert model["parameters"] == 98 * 32 + 2 * layer + 32
    for phase in ("generate", "train", "step"):
        row = found[phase]
        assert 0 < row["fastest"] <= row["seconds"] <= row["slowest"]
        assert row["tokens_per_s"] == pytest.approx(row["tokens"] / row["seconds"])
        assert row["tokens"] == 4 * found["workload"]["mean_length"]
    assert found["train"]["stored_tokens"] == found["train"]["tokens"] + 2 * 5
    assert set(found["train"]["parts"]) == {"forward", "backward", "optimizer"}
    assert {"sample", "reward", "score", "train"} <= set(found["step"]["phases"])
    assert all(value > 0 for value in found["limits"].values())
    generate, train = found["share"]["generate"], found["share"]["train"]
    assert generate["of_copy"] == pytest.approx(generate["bytes_per_s"] / found["limits"]["copy_bytes_per_s"])
    assert generate["bound"] in ("memory", "arithmetic")
    assert train["mfu"] == pytest.approx(train["flops_per_s"] / found["limits"]["matmul_float32_flops_per_s"])
    assert found["memory"]["peak_bytes"] > 0
    assert found["workload"]["rounds"] == 2


def test_people_get_a_table_and_sentences_in_80_columns():
    result = call("--model", "sprout", *SMALL, "--rounds", "1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(result.stdout.split())
    assert "sprout: " in words
    assert all(f"\n {name} " in result.stdout for name in ("generate", "train", "step"))
    assert "of what matrix products reach here in float32" in words
    assert "generate: " in words


@pytest.mark.parametrize(
    ("least", "said"),
    [(1.5, "faster than main memory"), (0.9, "bound by memory"), (0.1, "bound by overhead")],
)
def test_a_sentence_says_what_binds_sampling(least, said):
    assert said in bench._sampling({"least_seconds": least, "bound": "memory"}, 1.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "qwen3:hidden=256,layers=4"], "does not say `heads`"),
        (["--model", "qwen9:hidden=256"], "names no family of models"),
        (["--model", "tinny"], "cannot be loaded"),
        (["--lengths", "equals"], "Did you mean `equal`?"),
        (["--dtype", "float16"], "`dtype` is 'float16'"),
        (["--generations", "1"], "`generations` is 1. It must be at least 2."),
        (["--device", "gpu"], "`device: gpu` cannot be used"),
    ],
)
def test_bad_options_are_refused(words, said):
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
