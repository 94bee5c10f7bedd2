from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hone
from hone.core.errors import CheckpointError, HoneError, RewardError
from hone.training.progress import Quiet

REWARDS = Path(__file__).parent / "rewards.py"
TINY = {
    "task": {"name": "maze", "sizes": 5},
    "reward": f"{REWARDS}:even",  # half of what an untrained model writes is right, so that every step has a signal
    "model": "micro:new",
    "num_generations": 6,
    "problems_per_step": 3,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "eval": {"problems": 4, "samples": 4, "k": [1, 4]},
}
# Keys of a metrics line that may differ between two runs of the same recipe.
TIMINGS = "time/"


def tiny(**keys):
    return {**TINY, **keys}


def untimed(run) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.startswith(TIMINGS)} for line in run.metrics()]


def weights(run) -> bytes:
    return (run.final / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def ten_steps(tmp_path_factory):
    return hone.train(
        tiny(steps=10, method="rloo", checkpoint={"every": 5}), out=tmp_path_factory.mktemp("a") / "run"
    )


def test_two_runs_with_one_seed_are_identical(ten_steps, tmp_path):
    again = hone.train(tiny(steps=10, method="rloo", checkpoint={"every": 5}), out=tmp_path / "run")
    assert untimed(again) == untimed(ten_steps)
    assert weights(again) == weights(ten_steps)
    assert (again.path / "samples.jsonl").read_text() == (ten_steps.path / "samples.jsonl").read_text()
    other = hone.train(tiny(steps=2, method="rloo", seed=1), out=tmp_path / "other")
    assert untimed(other) != untimed(ten_steps)[:2]


def test_five_steps_and_a_resume_equal_ten(ten_steps, tmp_path):
    out = tmp_path / "run"
    hone.train(tiny(steps=5, method="rloo"), out=out)
    resumed = hone.train(tiny(steps=10, method="rloo"), out=out, resume=True)
    assert untimed(resumed) == untimed(ten_steps)
    assert weights(resumed) == weights(ten_steps)
    assert [e["step"] for e in resumed.evals()] == [0, 5, 10]


def test_resume_moves_what_came_after_the_checkpoint_aside(ten_steps, tmp_path):
    """As after a kill at step 8: the newest checkpoint is step 5, the metrics file is longer and its last line torn."""
    out = tmp_path / "run"
    shutil.copytree(ten_steps.path, out)
    shutil.rmtree(out / "checkpoints" / "000010")
    lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
    (out / "metrics.jsonl").write_text("".join(lines[:8]) + lines[8][:40])
    resumed = hone.train(tiny(steps=10, method="rloo", checkpoint={"every": 5}), out=out, resume=True)
    assert untimed(resumed) == untimed(ten_steps)
    assert weights(resumed) == weights(ten_steps)
    (aside,) = out.glob("metrics.after-*.jsonl")
    assert len(aside.read_text().splitlines()) == 4


def test_a_damaged_checkpoint_is_passed_over(ten_steps, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(ten_steps.path, out)
    newest = out / "checkpoints" / "000010" / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    resumed = hone.train(tiny(steps=10, method="rloo", checkpoint={"every": 5}), out=out, resume=True)
    assert weights(resumed) == weights(ten_steps)


def test_resume_refuses_another_recipe_and_says_which_key(ten_steps, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(ten_steps.path, out)
    with pytest.raises(CheckpointError, match=r"learning_rate.*0\.01.*0\.02"):
        hone.train(tiny(steps=10, method="rloo", learning_rate=0.02), out=out, resume=True)
    with pytest.raises(CheckpointError, match="already holds a run"):
        hone.train(tiny(steps=10), out=out)
    with pytest.raises(CheckpointError, match="folder"):
        hone.train(tiny(steps=10), resume=True)


def test_the_run_folder_is_as_documented(ten_steps):
    names = {p.name for p in ten_steps.path.iterdir()}
    assert {"recipe.yaml", "metrics.jsonl", "eval.jsonl", "samples.jsonl", "checkpoints", "final"} <= names
    assert sorted(p.name for p in (ten_steps.path / "checkpoints").iterdir()) == ["000005", "000010"]
    line = ten_steps.evals()[-1]
    assert set(line["pass@4"]) == {"value", "low", "high"}
    assert {"step", "task", "split", "problems", "samples", "pass@1", "worst@4", "maj@4"} <= set(line)
    first = ten_steps.metrics()[0]
    wanted = {
        "reward/mean", "pass_rate", "entropy", "mismatch/k3", "clip_share", "kl/k1", "kl/k3", "groups/no_signal",
        "truncated", "status/ok", "status/error", "grad_norm", "sampled_tokens", "trained_tokens", "learning_rate",
    }  # fmt: skip
    assert wanted <= set(first)
    assert 0 <= first["mismatch/max"] < 1e-3
    assert all(line["updates"] == line["step"] for line in ten_steps.metrics())
    hone.train(ten_steps.recipe() | {"steps": 0}, out=ten_steps.path.parent / "again")


def test_what_a_run_spent_is_in_its_lines_and_its_summary(tmp_path):
    run = hone.train(tiny(steps=2, price_per_hour=3600.0), out=tmp_path / "run")
    first, last = run.metrics()
    phases = ("sampling", "scoring", "training")
    for line in (first, last):
        assert line["flops"] == sum(line[f"flops/{phase}"] for phase in phases)
        assert line["flops/scoring"] == 0 < line["flops/sampling"] < line["flops/training"]
        assert line["bytes/sampling"] > 0 < line["bytes/training"]
    assert last["flops"] > first["flops"]
    summary = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
    assert summary["flops"] == last["flops"]
    assert summary["price"] == pytest.approx(summary["seconds"], abs=0.01)
    by_phase = summary["seconds_by_phase"]
    assert by_phase["sample"] + by_phase["train"] <= by_phase["step"] <= summary["seconds"]


def test_a_budget_of_sampled_tokens_ends_the_run(tmp_path):
    run = hone.train(tiny(steps=50, max_sampled_tokens=150), out=tmp_path / "run")
    totals = [line["sampled_tokens"] for line in run.metrics()]
    assert totals[-1] >= 150
    assert all(t < 150 for t in totals[:-1])


@pytest.mark.parametrize(
    "keys",
    [
        {"method": "rloo", "kl": {"name": "loss", "beta": 0.1}},
        {"method": "rloo", "kl": {"name": "reward", "beta": 0.1}},
        {"method": "ppo", "num_iterations": 2, "minibatches": 3, "max_tokens_per_microbatch": 200},
        {
            "method": "grpo",
            "mask_truncated_completions": True,
            "entropy_coef": 0.01,
            "correction": "importance",
        },
        {"method": "rloo", "credit": ["rloo", {"name": "scale", "over": "batch"}], "schedule": "cosine"},
        {"method": "rloo", "engine": "transformers"},
    ],
)
def test_pieces_combine(keys: dict, tmp_path):
    run = hone.train(tiny(steps=2, **keys), out=tmp_path / "run")
    assert len(run.metrics()) == 2
    if "kl" in keys:
        first, second = (line["reference_kl/k3"] for line in run.metrics())
        assert first == pytest.approx(0.0, abs=1e-6)  # the reference is where the policy starts
        assert second > 1e-6


def test_phases_hand_their_model_on(tmp_path):
    recipe = tiny(
        phases=[
            {"method": "sft", "steps": 3, "episode": {"name": "demonstration", "mix": {"direct": 1.0}}},
            {"method": "rloo", "steps": 2},
        ]
    )
    run = hone.train(recipe, out=tmp_path / "run")
    assert run.path.name == "phase-2"
    before = hone.evaluate(
        tmp_path / "run" / "phase-1", {"name": "maze", "sizes": 5}, k=[1], problems=4, samples=4,
        reward=f"{REWARDS}:even",
    )  # fmt: skip
    assert before["pass@1"] == run.evals()[0]["pass@1"]


@pytest.mark.parametrize(("name", "message"), [("raises", "no luck"), ("short", "1"), ("nan", "finite")])
def test_a_broken_reward_stops_the_run_with_its_first_error(name: str, message: str, tmp_path):
    with pytest.raises(RewardError, match=message):
        hone.train(tiny(steps=2, reward=f"{REWARDS}:{name}"), out=tmp_path / "run")


def test_a_reward_that_fails_sometimes_is_counted_and_survived(tmp_path):
    run = hone.train(tiny(steps=3, reward=f"{REWARDS}:sometimes", max_error_share=1.0), out=tmp_path / "run")
    lines = run.metrics()
    assert sum(line["status/error"] for line in lines) > 0
    assert all(line["status/ok"] + line["status/error"] == 18 for line in lines)
    assert run.evals()[0]["not_ok"] > 0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_generation": 4}, "num_generations"),
        ({"method": "rlo"}, "rloo"),
        ({"steps": "many"}, "steps.*many"),
        ({"steps": True}, "steps"),
        ({"task": "maze", "epsilon": 0.2}, "ppo_clip"),
        ({"eval": {"evry": 3}}, "every"),
        ({"task": {"name": "maze", "size": 5}}, "sizes"),
        ({"task": "jsonl:nowhere.jsonl"}, "nowhere.jsonl"),
        ({"model": "no/such/folder/at-all"}, "no/such/folder"),
        ({"reward": "nowhere.py:score"}, "nowhere.py"),
        ({"kl": "loss"}, "beta"),
        ({"top_p": 0.9}, "whole"),
        ({"max_tokens_per_microbatch": 0}, "`max_tokens_per_microbatch` is 0: it must be a count"),
        ({"max_tokens_per_microbatch": True}, "is True: it must be a count"),
        ({"recompute_activations": "sometimes"}, "`recompute_activations` is 'sometimes': it must be true"),
        ({"num_generations": 1}, "num_generations"),
        ({"minibatches": 9}, "minibatches"),
        ({"method": "maxrl", "kl": {"name": "reward", "beta": 0.1}}, "kl: loss"),
        ({"max_completion_length": 100_000}, "max_completion_length"),
    ],
)
def test_bad_recipes_are_one_sentence_before_anything_is_written(keys: dict, message: str, tmp_path):
    with pytest.raises(HoneError, match=message):
        hone.train(tiny(**{"steps": 1, **keys}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_summary_says_what_it_cost(ten_steps):
    summary = json.loads((ten_steps.path / "summary.json").read_text())
    assert summary["rollouts"] == 180
    assert "A_i" in summary["formula"]


def test_a_small_held_out_split_is_used_whole_and_said(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{i}>", "answer": str(i)}) + "\n" for i in range(40)))
    notes: list[str] = []

    class Notes(Quiet):
        def note(self, text):
            notes.append(text)

    recipe = tiny(steps=1, task=f"jsonl:{path}", reward=None)
    recipe["eval"] = {"problems": 39, "samples": 2, "k": [1]}
    run = hone.train(recipe, out=tmp_path / "run", progress=Notes())
    problems = run.evals()[0]["problems"]
    assert 0 < problems < 39
    assert any(f"eval.problems` is {problems}" in note for note in notes)


def test_options_of_a_stage_reach_the_cards_piece_and_shared_names_are_refused():
    from hone.core.errors import RecipeError
    from hone.recipes.load import resolve

    found = resolve(tiny(method="maxrl"), {"credit.floor": 0.2})[0]
    assert found.credit.options["floor"] == 0.2
    clipped = resolve(tiny(method="grpo"), {"epsilon": 0.1, "eval.k": "1,4"})[0]
    assert clipped.objective.options["epsilon"] == 0.1
    assert "epsilon" not in clipped.credit.options
    assert clipped.eval.k == (1, 4)
    with pytest.raises(RecipeError, match=r"kl\.level"):
        resolve(tiny(kl={"name": "loss", "beta": 0.1}, correction="importance", level="token"))
