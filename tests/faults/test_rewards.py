"""Runs with rewards that break every rule. Each is compared, number by number, with a run whose reward has no verdict
on the same texts: faults take their rollouts out of the step, are counted, and touch nothing else."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import hone
from hone.core.errors import RecipeError, RewardError
from hone.isolation.sandbox.levels import LEVELS
from hone.isolation.sandbox.probe import reached
from hone.recipes.load import parse_overrides, resolve
from hone.tasks import make
from hone.training.judging import build_judge
from hone.training.progress import Quiet
from hone.training.run import Run

FILE = Path(__file__).parent / "broken_rewards.py"
TINY = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "method": "rloo",
    "num_generations": 6,
    "problems_per_step": 3,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "eval": {"problems": 4, "samples": 4, "k": [1, 2]},
    "max_error_share": 1.0,
}
ROLLOUTS = 18
STATUSES = ("error", "timeout", "not_applicable")


def load():
    spec = importlib.util.spec_from_file_location("broken_rewards", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


broken = load()


def trained(out: Path, reward, steps: int, **keys):
    return hone.train({**TINY, "reward": reward, "steps": steps, **keys}, out=out)


def learnt(run) -> list[dict]:
    """The metrics of every step without the seconds and without which status a lost rollout has."""
    return [
        {k: v for k, v in line.items() if not k.startswith(("time/", "status/"))} for line in run.metrics()
    ]


def evaluated(run) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.startswith("time/")} for line in run.evals()]


def lost(run) -> list[int]:
    return [sum(line[f"status/{status}"] for status in STATUSES) for line in run.metrics()]


def assert_same_learning(run, control) -> None:
    assert learnt(run) == learnt(control)
    assert evaluated(run) == evaluated(control)
    assert lost(run) == lost(control)
    final = "model.safetensors"
    assert (run.final / final).read_bytes() == (control.final / final).read_bytes()
    assert all(
        line["status/ok"] + gone == ROLLOUTS for line, gone in zip(run.metrics(), lost(run), strict=True)
    )


def test_a_suite_that_breaks_every_rule_leaves_the_sound_part_of_the_curve_as_it_is(tmp_path: Path) -> None:
    file = shutil.copy(FILE, tmp_path)  # it leaves beside it which faults it met
    few = {"problems": 2, "samples": 2, "k": [1]}
    run = trained(tmp_path / "run", {"name": f"{file}:suite", "seconds": 1.5}, steps=5, eval=few)
    control = trained(tmp_path / "control", f"{file}:suite_without", steps=5, eval=few)
    assert_same_learning(run, control)
    met = {int(path.name.removeprefix("met-")) for path in tmp_path.glob("met-*")}
    assert met == set(range(broken.KINDS))
    lines = run.metrics()
    assert sum(line["status/error"] for line in lines) >= 8
    assert sum(line["status/timeout"] for line in lines) >= 3
    assert sum(line["status/not_applicable"] for line in lines) == 0
    assert any(line["updates_skipped"] == 0 for line in lines)


def test_steps_that_break_as_a_whole_are_lost_and_counted(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", {"name": f"{FILE}:step_suite", "seconds": 3}, steps=8)
    control = trained(tmp_path / "control", f"{FILE}:step_suite_without", steps=8)
    assert_same_learning(run, control)
    statuses = [[line[f"status/{name}"] for name in ("ok", "error", "timeout")] for line in run.metrics()]
    assert statuses == [
        [0, ROLLOUTS, 0],  # raises
        [0, ROLLOUTS, 0],  # one value too few
        [0, ROLLOUTS, 0],  # kills its process
        [0, ROLLOUTS, 0],  # no list
        [0, 0, ROLLOUTS],  # hangs
        [0, 0, ROLLOUTS],  # prints without end
        [ROLLOUTS - 1, 1, 0],  # NaN among the values
        [ROLLOUTS, 0, 0],
    ]
    assert [line["updates_skipped"] for line in run.metrics()] == [1] * 6 + [0, 0]


def test_a_callable_in_the_trainer_is_held_to_the_same_contract(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", broken.in_process, steps=4)
    control = trained(tmp_path / "control", broken.in_process_without, steps=4)
    assert_same_learning(run, control)
    assert sum(line["status/error"] for line in run.metrics()) > 3
    assert run.recipe()["reward"] == "callable:in_process"
    named = trained(tmp_path / "named", f"inprocess:{FILE}:in_process", steps=4)
    assert_same_learning(named, control)


def test_an_async_reward_that_is_late_is_a_timeout(tmp_path: Path) -> None:
    late = {"name": f"inprocess:{FILE}:late", "seconds": 0.3}
    run = trained(tmp_path / "run", late, steps=2, eval={"problems": 2, "samples": 2, "k": [1]})
    control = trained(
        tmp_path / "control", f"{FILE}:late_without", steps=2, eval={"problems": 2, "samples": 2, "k": [1]}
    )
    assert_same_learning(run, control)
    assert sum(line["status/timeout"] for line in run.metrics()) == sum(lost(control)) > 0


class Notes(Quiet):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_it_is_said_that_a_reward_in_the_trainer_cannot_be_killed(tmp_path: Path) -> None:
    short = {**TINY, "steps": 0, "eval": {"before": False, "problems": 1, "samples": 1, "k": [1]}}
    for number, reward in enumerate(
        (broken.in_process, f"inprocess:{FILE}:in_process", f"{FILE}:in_process")
    ):
        notes = Notes()
        hone.train({**short, "reward": reward}, out=tmp_path / str(number), progress=notes)
        said = [
            note for note in notes.notes if "longer than 60 s is a time-out, but it cannot be killed" in note
        ]
        assert len(said) == (number < 2)


def test_a_run_with_a_callable_is_resumed_with_the_callable(tmp_path: Path) -> None:
    trained(tmp_path / "run", broken.in_process, steps=1)
    with pytest.raises(RecipeError, match="Pass it again"):
        hone.train(Run(tmp_path / "run").recipe() | {"steps": 2}, out=tmp_path / "run", resume=True)
    recipe = {**TINY, "steps": 2}
    run = hone.train(recipe, out=tmp_path / "run", resume=True, reward=broken.in_process)
    whole = trained(tmp_path / "whole", broken.in_process, steps=2)
    assert learnt(run) == learnt(whole)


def test_a_reward_takes_options_on_the_command_line_too() -> None:
    recipe = resolve(
        "demo", parse_overrides(["reward=code", "reward.partial=true", "reward.sandbox=process"])
    )[0]
    assert recipe.dump()["reward"] == {"name": "code", "partial": True, "sandbox": "process"}
    judge = build_judge(make("maze"), recipe.reward)
    assert (judge.verifier.partial, judge.verifier.sandbox) == (True, "process")
    assert resolve("demo", {"reward": "math"})[0].dump()["reward"] == "math"


def test_a_model_is_evaluated_with_a_callable(tmp_path: Path) -> None:
    line = hone.evaluate(
        "micro:new", {"name": "maze", "sizes": 5}, k=[1], problems=2, samples=2, max_completion_length=4,
        reward=lambda text, answer: 1.0,
    )  # fmt: skip
    assert line["pass@1"]["value"] == 1.0


def test_too_many_errors_stop_the_run_with_the_first_of_them(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"verdicts of this step are errors.*ValueError: no luck"):
        trained(tmp_path / "run", f"{FILE}:step_suite", steps=2, max_error_share=0.1)


def test_a_reward_that_cannot_be_loaded_stops_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os\nos._exit(5)\ndef f(text, answer): return 1\n")
    with pytest.raises(RewardError, match="exit code 5"):
        trained(tmp_path / "run", f"{tmp_path}/ends.py:f", steps=1)
    with pytest.raises(RecipeError, match=r"`reward.second` is not an option.*Did you mean `seconds`"):
        trained(tmp_path / "run", {"name": f"{FILE}:suite", "second": 3}, steps=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not reached().holds("seccomp"), reason="the default level is not reached here")
def test_a_run_that_is_judged_by_tests_of_programs(tmp_path: Path) -> None:
    rows = [{"prompt": f"{i}>", "tests": [f"assert f() == {i}"]} for i in range(40)]
    (tmp_path / "programs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": f"jsonl:{tmp_path}/programs.jsonl", "answer": "tests", "verifier": "code"}
    run = trained(tmp_path / "run", None, steps=1, task=task, problems_per_step=2, num_generations=3,
                  eval={"before": False, "problems": 1, "samples": 2, "k": [1]})  # fmt: skip
    (line,) = run.metrics()
    assert (line["status/ok"], line["reward/mean"]) == (6, 0.0)  # noise is no program, and that is no error
    assert line["reward/sandbox"] == LEVELS.index(reached().level)
    sample = json.loads((run.path / "samples.jsonl").read_text().splitlines()[0])
    assert sample["detail"].startswith(f"sandbox {reached().level}: failed: ")
