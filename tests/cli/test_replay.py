from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import hone
from hone.cli.main import app

RUNNER = CliRunner()


def even(text, answer):
    return float(sum(map(ord, text)) % 2 == 0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    run = hone.train(
        {
            "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 4, "problems_per_step": 2,
            "max_completion_length": 6, "steps": 1, "eval": {"problems": 1, "samples": 1, "k": [1]},
            "guards": {"entropy_low": {"nats": 99.0, "patience": 1}},
        },
        out=tmp_path_factory.mktemp("run") / "run",
        reward=even,
    )  # fmt: skip
    return run.path / run.events()[0]["bundle"]


def call(*words: str):
    return RUNNER.invoke(app, ["replay", *words])


def test_a_bundle_is_shown_and_found_again(bundle):
    result = call(str(bundle), "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "guard `entropy_low`, step 1: entropy has collapsed" in result.output
    assert "It is found again." in result.output
    assert "\x1b" not in result.output  # plain where there is no terminal
    (row,) = [line for line in result.output.splitlines() if line.split()[:1] == ["entropy"]]
    _, then, now = row.split()
    assert then == now
    assert "largest parts in the loss" in result.output


def test_what_is_not_found_again_has_an_exit_code_of_its_own(bundle):
    recipe = bundle / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("nats: 99.0", "nats: 0.001"))
    try:
        result = call(str(bundle), "--dtype", "float64")
    finally:
        recipe.write_text(text)
    assert result.exit_code == 4, result.output
    assert "It is not found again" in result.output
    assert "forward passes are in float64" in result.output


def test_what_is_no_bundle(tmp_path, bundle):
    result = call(str(tmp_path))
    assert result.exit_code == 2
    assert "is no bundle" in " ".join(result.output.split())
    result = call(str(bundle), "--dtype", "float8")
    assert result.exit_code == 2
    assert "--dtype" in result.output
