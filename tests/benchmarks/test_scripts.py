"""The scripts that measure hone alone run, and write what they print."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parents[2] / "benchmarks")
MICRO = "qwen3:hidden=32,layers=2,heads=2,kv_heads=1,head_dim=16,ffn=64,vocab=98"


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Runs a script of the folder as the command line does; returns its module and what it wrote."""
    monkeypatch.syspath_prepend(FOLDER)
    loaded = []

    def run(name: str, *words: str, **constants: object):
        module = importlib.import_module(name)
        loaded.extend([name, "machine"])
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        file = tmp_path / "figures.json"
        small = [
            "--model",
            MICRO,
            "--device",
            "cpu",
            "--completion",
            "4",
            "--rounds",
            "1",
            "--json",
            str(file),
        ]
        monkeypatch.setattr(sys, "argv", [name, *small, *words])
        module.main()
        return module, json.loads(file.read_text())

    yield run
    for name in loaded:
        sys.modules.pop(name, None)


def test_scaling_has_a_row_for_every_size(script, capsys):
    module, found = script("scaling", "--largest", "64", SMALLEST=32, CUT=32, CUTS=(1, 2))
    assert [row["rollouts"] for row in found["rollouts"]] == [32, 64]
    assert [row["micro_batches"] for row in found["micro_batches"]] == [1, 2]
    for row in (*found["rollouts"], *found["micro_batches"]):
        assert row["step"] >= max(row["sampling"], row["training"]) > 0
    assert capsys.readouterr().out.count("(1.00×)") >= 2 * len(module.PHASES)


def test_a_cut_is_that_many_passes(script):
    module, _ = script("scaling", "--largest", "32", SMALLEST=32, CUT=64, CUTS=(1, 2, 4))
    made = module.by_cuts(module.Workload(MICRO, completion=4))
    assert [(w.problems * w.prompt + sum(w.schedule())) / w.max_tokens for w in made] == [1, 2, 4]


def test_the_decode_profile_sees_the_kernels_of_the_engine(script):
    module, found = script("decode_profile", "--sequences", "4")
    profiled = found["profiler"]
    assert 0 < profiled["kernels"] < profiled["wall"]
    assert profiled["overhead"] == pytest.approx(1 - profiled["kernels"] / profiled["wall"])
    assert found["narrow_over_real"] > 0
    assert 0 < found["clock"]["kernels"] < found["clock"]["wall"]
    assert module.shapes.parse(module.narrow(MICRO))[1] == {**module.NARROW, "layers": 2}
