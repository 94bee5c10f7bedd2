"""examples/own_data: the one line of the guide trains on one's own file with one's own reward."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hone.cli.main import app
from hone.core.loading import load_callable
from hone.training.run import Run

ROOT = Path(__file__).parents[2]
TINY = [
    "steps=2",
    "num_generations=3",
    "problems_per_step=2",
    "eval.problems=4",
    "eval.samples=2",
    "eval.k=[1,2]",
]
# Keys that only some recipes write, or only steps that move something.
SOMETIMES = {
    "loss/policy",
    "reference_kl/k3",
    "loss/reference_kl",
    "loss/entropy",
    "loss/value",
    "loss/supervised",
    "time/reward_overlapped",
    "time/compile",
    "signal/refilled_rollouts",
    "signal/dropped_rollouts",
    "signal/stopped_rollouts",
    "signal/smallest_group",
    "signal/largest_group",
}


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def guide() -> str:
    return (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def the_one_line() -> list[str]:
    """The words of the example's command in the guide."""
    text = guide().replace("\\\n", " ")
    line = next(
        line for line in text.splitlines() if line.startswith("hone train task=jsonl:examples/own_data")
    )
    return shlex.split(line)[1:]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("own") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        result = CliRunner().invoke(app, [*the_one_line(), *TINY, "--out", str(folder), "--no-report"])
    assert result.exit_code == 0, result.output
    return Run(folder)


def test_it_trains_with_the_reward(run):
    lines = run.metrics()
    assert len(lines) == 2
    assert all(line["status/ok"] == 6 for line in lines)
    assert run.recipe()["reward"] == "examples/own_data/my_rewards.py:score"
    assert (run.final / "model.safetensors").is_file()


def test_every_measured_key_is_in_the_guide(run):
    section = guide().split("## What is measured")[1].split("\n## ")[0]
    documented = set(_codes(section))
    written = {key for line in run.metrics() for key in line}
    assert written <= documented, written - documented
    keys = {
        key for line in section.splitlines() if line.startswith("| `") for key in _codes(line.split("|")[1])
    }
    assert keys - written <= SOMETIMES, keys - written - SOMETIMES


@pytest.mark.parametrize(
    ("text", "reward"), [("abc", 1.0), (" abc\n", 1.0), ("abd", 2 / 3), ("abcx", 0.75), ("", 0.0)]
)
def test_the_reward(text: str, reward: float):
    score = load_callable(str(ROOT / "examples/own_data/my_rewards.py") + ":score")
    assert score(completions=[text], answer=["abc"], prompts=["sort cab: "]) == [reward]
