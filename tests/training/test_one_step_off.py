"""Sampling a step ahead: which weights, which batches, and that nothing of it depends on timing."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

import hone
from hone.core.errors import EngineError, RecipeError, RewardError
from hone.curricula import Uniform
from hone.engines import NativeEngine
from hone.training.progress import Quiet

REWARDS = Path(__file__).parent / "rewards.py"
PATIENCE = 30.0


def recipe(**keys):
    return {
        "task": {"name": "maze", "sizes": 5},
        "reward": f"{REWARDS}:even",
        "model": "micro:new",
        "correction": "importance",
        "one_step_off": True,
        "num_generations": 6,
        "problems_per_step": 3,
        "max_completion_length": 6,
        "learning_rate": 1e-2,
        "eval": {"problems": 2, "samples": 2, "k": [1]},
        **keys,
    }


def untimed(run) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.startswith("time/")} for line in run.metrics()]


def weights(run) -> bytes:
    return (run.final / "model.safetensors").read_bytes()


def lags(run) -> list[int]:
    return [line["policy/lag"] for line in run.metrics()]


@pytest.fixture(scope="module")
def six_steps(tmp_path_factory):
    return hone.train(recipe(steps=6), out=tmp_path_factory.mktemp("a") / "run")


def test_rollouts_are_one_update_old_from_the_second_step_on(six_steps):
    assert lags(six_steps) == [0, 1, 1, 1, 1, 1]
    mismatch = [line["mismatch/max"] for line in six_steps.metrics()]
    assert mismatch[0] < 1e-3 < min(mismatch[1:])
    assert [line["updates"] for line in six_steps.metrics()] == [1, 2, 3, 4, 5, 6]


def test_two_runs_are_identical(six_steps, tmp_path):
    again = hone.train(recipe(steps=6), out=tmp_path / "run")
    assert untimed(again) == untimed(six_steps)
    assert weights(again) == weights(six_steps)


def test_the_first_step_is_that_of_a_synchronous_run_and_the_third_is_not(six_steps, tmp_path):
    one, other = (
        hone.train(recipe(steps=1, one_step_off=off), out=tmp_path / str(off)) for off in (True, False)
    )
    assert weights(one) == weights(other)
    assert untimed(one) == untimed(other)
    assert untimed(one)[0] == untimed(six_steps)[0]
    synchronous = hone.train(recipe(steps=3, one_step_off=False), out=tmp_path / "three")
    assert lags(synchronous) == [0, 0, 0]
    assert untimed(synchronous)[2]["entropy"] != untimed(six_steps)[2]["entropy"]


def test_what_is_asked_is_what_a_synchronous_run_asks(tmp_path):
    """With updates that move nothing, the same problems under the same noise give the same rollouts."""
    keys = {"steps": 3, "warmup_steps": 1_000_000_000}
    ahead, synchronous = (
        hone.train(recipe(**keys, one_step_off=off), out=tmp_path / str(off)) for off in (True, False)
    )
    assert lags(ahead) == [0, 1, 1]
    assert (ahead.path / "samples.jsonl").read_text() == (synchronous.path / "samples.jsonl").read_text()


def test_nothing_is_under_way_across_an_evaluation_or_a_checkpoint(tmp_path):
    run = hone.train(
        recipe(steps=6, eval={"problems": 2, "samples": 2, "k": [1], "every": 2}), out=tmp_path / "e"
    )
    assert lags(run) == [0, 1, 0, 1, 0, 1]
    assert [e["step"] for e in run.evals()] == [0, 2, 4, 6]
    run = hone.train(recipe(steps=6, checkpoint={"every": 3}), out=tmp_path / "c")
    assert lags(run) == [0, 1, 1, 0, 1, 1]


def test_a_budget_of_tokens_ends_it_without_a_batch_left_over(tmp_path):
    run = hone.train(recipe(steps=50, max_sampled_tokens=250), out=tmp_path / "run")
    totals = [line["sampled_tokens"] for line in run.metrics()]
    assert totals[-1] >= 250
    assert all(t < 250 for t in totals[:-1])


def test_a_resumed_run_with_the_same_rests_is_the_uninterrupted_one(tmp_path):
    keys = {"checkpoint": {"every": 3}}
    whole = hone.train(recipe(steps=6, **keys), out=tmp_path / "whole")
    notes: list[str] = []

    class Notes(Quiet):
        def note(self, text):
            notes.append(text)

    hone.train(recipe(steps=3, **keys), out=tmp_path / "parts", progress=Notes())
    resumed = hone.train(recipe(steps=6, **keys), out=tmp_path / "parts", resume=True)
    assert untimed(resumed) == untimed(whole)
    assert weights(resumed) == weights(whole)
    assert any("second copy of the weights" in n and "bit for bit only if" in n for n in notes)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"correction": None}, "correction=importance"),
        ({"correction": "none"}, "correction=importance"),
        ({"method": "sft", "correction": None}, "demonstrations"),
    ],
)
def test_recipes_that_have_no_meaning(keys: dict, message: str, tmp_path):
    with pytest.raises(RecipeError, match=message):
        hone.train(recipe(steps=1, **keys), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_curriculum_with_a_state_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Uniform, "init", lambda self, task, seed: {"seen": 0})
    with pytest.raises(RecipeError, match=r"uniform.*keeps no state"):
        hone.train(recipe(steps=1), out=tmp_path / "run")


@pytest.mark.parametrize(
    "keys", [{"engine": "transformers"}, {"method": "ppo", "num_iterations": 2, "minibatches": 3}]
)
def test_other_engines_and_several_updates(keys: dict, tmp_path):
    run = hone.train(recipe(steps=3, **keys), out=tmp_path / "run")
    updates = 6 if "minibatches" in keys else 1
    assert lags(run) == [0, updates, updates]


def fail_at(call: int, monkeypatch, error: Exception) -> None:
    """The native engine raises `error` in its n-th call of training."""
    calls: list[int] = []
    sample = NativeEngine.run

    def run(self, requests):
        if requests[0].noise.purpose == "train":
            calls.append(1)
            if len(calls) == call:
                raise error
        return sample(self, requests)

    monkeypatch.setattr(NativeEngine, "run", run)


def test_an_error_in_the_sampling_thread_is_the_runs_error(tmp_path, monkeypatch):
    fail_at(3, monkeypatch, EngineError("The third is bad.", "Mend it."))
    with pytest.raises(EngineError, match=r"The third is bad\. Mend it\."):
        hone.train(recipe(steps=6), out=tmp_path / "run")
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_error_of_the_main_thread_stops_the_sampling(tmp_path, monkeypatch):
    stopped = endless_from(2, monkeypatch)
    with pytest.raises(RewardError, match="no luck"):
        hone.train(recipe(steps=6, reward=f"{REWARDS}:raises"), out=tmp_path / "run")
    assert stopped.is_set()


def endless_from(call: int, monkeypatch, started: threading.Event | None = None) -> threading.Event:
    """From its n-th call of training on, the native engine samples until it is stopped; the event says that it was."""
    calls: list[int] = []
    stopped = threading.Event()
    sample = NativeEngine.run

    def run(self, requests):
        if requests[0].noise.purpose == "train":
            calls.append(1)
            if len(calls) >= call:
                if started is not None:
                    started.set()
                try:
                    while True:
                        self.stop_if_asked()
                except EngineError:
                    stopped.set()
                    raise
        return sample(self, requests)

    monkeypatch.setattr(NativeEngine, "run", run)
    return stopped


def test_an_interrupt_stops_training_and_sampling(tmp_path, monkeypatch):
    started = threading.Event()
    stopped = endless_from(2, monkeypatch, started)

    def interrupt() -> None:
        started.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            hone.train(recipe(steps=6), out=tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert stopped.is_set()


def test_it_learns(tmp_path):
    """Rewards of the letters task, sampled from weights that are one update old."""
    rows = [{"prompt": f"{a}{b}>", "answer": a} for a in "abcd" for b in "efghijklmn"]
    path = tmp_path / "letters.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = hone.train(
        recipe(
            task={"name": f"jsonl:{path}", "verifier": "exact"}, reward=None, num_generations=64, problems_per_step=8,
            max_completion_length=1, learning_rate=4e-3, steps=60, eval={"problems": 1, "samples": 1, "k": [1]},
        ),
        out=tmp_path / "run",
    )  # fmt: skip
    rates = [line["pass_rate"] for line in run.metrics()]
    assert sum(rates[:3]) / 3 < 0.1
    assert max(rates[-10:]) > 0.5
    assert set(lags(run)[1:]) == {1}
