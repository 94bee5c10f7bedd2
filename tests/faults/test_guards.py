"""Faults of numbers, each injected into a tiny run: the guard that finds it, what it does, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import hone
from hone.core.errors import CheckpointError, GuardError, RecipeError
from hone.core.noise import NoiseKey
from hone.engines import NativeEngine
from hone.policies.fingerprint import fingerprint
from hone.policies.loading import load_policy
from hone.training import checkpoint
from hone.training import update as updates
from hone.training.folder import RunFolder
from hone.training.guards.replay import replay
from hone.training.guards.watch import Watch
from hone.training.progress import Quiet
from hone.training.run import Run
from hone.training.session import Session


def even(text, answer):
    return float(sum(map(ord, text)) % 2 == 0)


def constant(text, answer):
    return 1.0


def longer(text, answer):
    return float(len(text))


TINY = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "steps": 4,
    "eval": {"problems": 2, "samples": 2, "k": [1]},
}


class Heard(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text):
        self.notes.append(text)


def train(out: Path, reward=even, progress=None, resume=False, **keys):
    return hone.train(TINY, out=out, reward=reward, progress=progress, resume=resume, **keys)


def untimed(run) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.startswith("time/")} for line in run.metrics()]


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def column(run, name: str) -> list:
    return [line[name] for line in run.metrics()]


def spoil_loss(monkeypatch, factor: float, calls) -> None:
    """The policy's part of the loss is multiplied by `factor` in the given calls of an update, counted from 1."""
    whole, count = updates.components, []

    def components(method, scores, batch):
        count.append(1)
        parts = whole(method, scores, batch)
        if len(count) in calls:
            parts["policy"] = parts["policy"] * factor
        return parts

    monkeypatch.setattr(updates, "components", components)


@pytest.fixture(scope="module")
def spiky(tmp_path_factory) -> Path:
    """A policy that has collapsed: logits so large that it says one thing alone."""
    policy = load_policy("micro:new")
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(1e4)
    path = tmp_path_factory.mktemp("models") / "spiky"
    path.mkdir()
    policy.save(path)
    return path


# --- numbers that are none -------------------------------------------------------------------------------------------


def test_an_update_that_is_not_a_number_is_skipped_and_the_run_goes_on(tmp_path, monkeypatch):
    heard = Heard()
    with monkeypatch.context() as patch:
        spoil_loss(patch, float("nan"), {2})
        run = train(tmp_path / "run", progress=heard)
    assert column(run, "guards/skipped") == column(run, "guards/tripped") == [0, 1, 0, 0]
    assert column(run, "updates") == [1, 1, 2, 3]
    assert column(run, "grad_norm")[1] is None
    (event,) = run.events()
    assert event == {
        "step": 2, "event": "guard", "guard": "nan", "action": "skip", "bundle": "bundles/000002-nan",
        "detail": "the update's loss, logprobs or gradient are not finite (gradient norm nan)",
    }  # fmt: skip
    assert any("this update is skipped" in n and "hone replay" in n for n in heard.notes)
    assert all(torch.isfinite(p).all() for p in load_policy(str(run.final)).parameters())


def test_without_the_guard_the_same_fault_is_in_every_weight(tmp_path, monkeypatch):
    """Which is why the guard cannot be told to let it pass."""
    spoil_loss(monkeypatch, float("nan"), {2})
    monkeypatch.setattr(Watch, "look_at_update", lambda self, now: [])
    with pytest.raises(ValueError, match="not JSON compliant"):  # the step's line, which comes first
        train(tmp_path / "run")
    for action in ("warn", "ignore"):
        with pytest.raises(RecipeError, match=r"guards\.nan\.action.*must be skip or stop"):
            train(tmp_path / "other", guards={"nan": {"action": action}})


def test_too_many_skips_in_a_row_stop_the_run(tmp_path, monkeypatch):
    spoil_loss(monkeypatch, float("inf"), range(2, 99))
    with pytest.raises(GuardError, match=r"step 4: .*3 updates in a row were skipped.*checkpoint of step 3"):
        train(tmp_path / "run", steps=9, guards={"max_skips": 3})
    run = Run(tmp_path / "run")
    assert [e["action"] for e in run.events()] == ["skip", "skip", "stop"]
    assert [e["bundle"] for e in run.events()] == ["bundles/000002-nan", None, None]  # one for the row
    assert len(run.metrics()) == 3


def test_a_weight_that_is_not_a_number_is_found_before_the_update(tmp_path, monkeypatch):
    """It comes after sampling, as from broken memory: the trainer's logprobs are no numbers, the sampler's were."""
    whole = updates.update

    def update(policy, *args):
        if policy.version == 2:
            with torch.no_grad():
                policy.model.model.layers[0].mlp.down_proj.weight[0, 0] = float("nan")
        return whole(policy, *args)

    monkeypatch.setattr("hone.training.guards.acting.update", update)
    with pytest.raises(GuardError, match="Guard `nan` stopped the run in step 3"):
        train(tmp_path / "run", guards={"nan": {"action": "stop"}})
    stored = load_policy(str(tmp_path / "run" / "bundles" / "000003-nan" / "model"))
    assert not all(torch.isfinite(p).all() for p in stored.parameters())  # the bundle holds the fault


# --- gradients -------------------------------------------------------------------------------------------------------


def test_a_gradient_that_explodes_is_skipped(tmp_path, monkeypatch):
    plain = train(tmp_path / "plain", steps=13, problems_per_step=4)
    spoil_loss(monkeypatch, 1e3, {12})
    run = train(tmp_path / "run", steps=13, problems_per_step=4)
    assert column(run, "guards/skipped") == [0] * 11 + [1, 0]
    assert column(run, "grad_norm")[11] is None
    assert untimed(run)[:11] == untimed(plain)[:11]  # a guard that is silent changes nothing
    assert "times the run's median" in run.events()[0]["detail"]


def test_a_stop_leaves_a_checkpoint_from_before_the_step_and_a_resumed_run_is_the_run_without_the_fault(
    tmp_path, monkeypatch
):
    whole = train(tmp_path / "whole")
    out, keys = tmp_path / "run", {"guards": {"gradient": {"action": "stop"}}}
    with monkeypatch.context() as patch:
        spoil_loss(patch, 1e9, {3})
        with pytest.raises(GuardError, match=r"Guard `gradient`.*above 1e\+06.*checkpoint of step 2"):
            train(out, **keys)
    state = json.loads((out / "checkpoints" / "000002" / "trainer.json").read_text())
    assert (state["step"], state["version"], state["ledger"]["updates"]) == (2, 2, 2)
    resumed = train(out, resume=True)  # with the guards of the recipe: they may change
    assert untimed(resumed) == untimed(whole)
    assert weights(resumed.final) == weights(whole.final)
    assert [e["action"] for e in resumed.events()] == ["stop"]


def test_what_guards_remember_is_in_the_checkpoint(tmp_path, monkeypatch):
    """The median of ten norms and a row of looks reach over the interruption: both runs skip the same update."""
    keys = {"checkpoint": {"every": 6}, "guards": {"entropy_low": {"nats": 99.0, "patience": 9}}}
    keys["problems_per_step"] = 4
    with monkeypatch.context() as patch:
        spoil_loss(patch, 1e3, {12})
        whole = train(tmp_path / "whole", steps=12, **keys)
    train(tmp_path / "parts", steps=6, **keys)
    with monkeypatch.context() as patch:
        spoil_loss(patch, 1e3, {6})
        parts = train(tmp_path / "parts", steps=12, resume=True, **keys)
    assert untimed(parts) == untimed(whole)
    assert parts.events() == whole.events()
    assert [(e["step"], e["guard"]) for e in whole.events()] == [(9, "entropy_low"), (12, "gradient")]


def test_a_stop_after_an_earlier_update_of_the_step_says_what_there_is(tmp_path, monkeypatch):
    spoil_loss(monkeypatch, 1e9, {4})
    with pytest.raises(GuardError, match="Earlier updates of the same step have moved the weights"):
        train(tmp_path / "run", minibatches=2, guards={"gradient": {"action": "stop"}})
    spoil_loss(monkeypatch, 1e9, {1})
    with pytest.raises(GuardError, match="It was the first step"):
        train(tmp_path / "first", guards={"gradient": {"action": "stop"}})


# --- the policy ------------------------------------------------------------------------------------------------------


def test_entropy_collapse(tmp_path, spiky):
    keys = {"model": str(spiky), "guards": {"entropy_low": {"patience": 2, "action": "stop"}}}
    with pytest.raises(
        GuardError, match=r"Guard `entropy_low` stopped the run in step 2: entropy has collapsed"
    ):
        train(tmp_path / "run", **keys)


def test_by_default_a_collapse_is_a_warning_once(tmp_path, spiky):
    heard = Heard()
    run = train(tmp_path / "run", progress=heard, model=str(spiky), steps=12)
    assert [(e["step"], e["guard"], e["action"]) for e in run.events()] == [(10, "entropy_low", "warn")]
    assert sum("entropy_low" in n for n in heard.notes) == 1
    assert column(run, "guards/tripped") == [0] * 9 + [1] * 3
    assert column(run, "guards/skipped") == [0] * 12


def test_entropy_explosion(tmp_path, spiky, monkeypatch):
    """The sharp policy dissolves between steps 2 and 3, as after a step that was far too long."""
    begin = Session.begin

    def dissolve(self, step):
        begin(self, step)
        if step == 3:
            with torch.no_grad():
                self.policy.model.model.norm.weight.mul_(1e-5)

    monkeypatch.setattr(Session, "begin", dissolve)
    heard = Heard()
    keys = {
        "model": str(spiky),
        "guards": {"entropy_high": {"patience": 1, "action": "skip"}, "max_skips": 9},
    }
    run = train(tmp_path / "run", progress=heard, learning_rate=1e-6, **keys)
    assert column(run, "guards/skipped") == [0, 0, 1, 1]
    assert [e["guard"] for e in run.events()] == ["entropy_high"] * 2
    assert any("entropy has exploded" in n for n in heard.notes)


def test_a_learning_rate_of_a_million(tmp_path, monkeypatch):
    """One update, and the shipped model is noise."""
    monkeypatch.setattr(Session, "rate", lambda session, update: 1e6)  # no recipe may ask for it
    run = train(tmp_path / "run", model="sprout", steps=4)
    assert (4, "entropy_high") in [(event["step"], event["guard"]) for event in run.events()]


def test_repeated_tokens(tmp_path, spiky):
    keys = {"max_completion_length": 24, "guards": {"repetition": {"tail": 12, "patience": 1}}}
    run = train(tmp_path / "run", model=str(spiky), steps=2, **keys)
    assert column(run, "guards/repetition") == [1.0, 1.0]
    assert [(e["step"], e["guard"]) for e in run.events()] == [(1, "repetition")]


# --- sampling, rewards, lengths --------------------------------------------------------------------------------------


def test_a_sampler_whose_logprobs_are_of_another_policy(tmp_path, monkeypatch):
    """From step 2 on, as a kernel that breaks during a run; at the start the self-test would find it."""
    whole = NativeEngine.run

    def run(self, requests):
        results = whole(self, requests)
        noise: NoiseKey = requests[0].noise
        if noise.purpose == "train" and noise.step >= 2:
            for completions in results:
                for completion in completions:
                    completion.logprobs[:] -= 1.0
        return results

    monkeypatch.setattr(NativeEngine, "run", run)
    found = train(tmp_path / "run", steps=3)
    assert [(e["step"], e["guard"], e["action"]) for e in found.events()] == [(2, "mismatch", "warn")]
    assert column(found, "updates") == [1, 2, 3]
    skipped = train(tmp_path / "skip", steps=3, guards={"mismatch": {"action": "skip"}})
    assert column(skipped, "updates") == [1, 1, 1]


def test_rewards_that_never_differ(tmp_path):
    keys = {"guards": {"constant_rewards": {"patience": 3, "action": "stop"}}}
    with pytest.raises(GuardError, match=r"`constant_rewards` stopped the run in step 3: 100% of the groups"):
        train(tmp_path / "run", reward=constant, **keys)
    assert (tmp_path / "run" / "bundles" / "000003-constant_rewards").is_dir()


def test_a_reward_that_is_the_length(tmp_path):
    run = train(tmp_path / "run", reward=longer, guards={"length": {"window": 2, "correlation": 0.5}})
    assert [(e["step"], e["guard"]) for e in run.events()] == [(4, "length")]
    assert "correlation" in run.events()[0]["detail"]


# --- healthy runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"method": "ppo", "num_iterations": 2, "minibatches": 2},
        {"method": "sft"},
        {"one_step_off": True, "correction": "importance"},
        {"model": "sprout", "learning_rate": 2e-4, "max_completion_length": 40},
    ],
)
def test_the_defaults_are_silent_on_healthy_runs(keys, tmp_path):
    reward = None if keys.get("method") == "sft" else even
    run = train(tmp_path / "run", reward=reward, steps=6, **keys)
    assert run.events() == []
    assert set(column(run, "guards/tripped")) == {0}
    assert not (run.path / "bundles").exists()


# --- bundles ---------------------------------------------------------------------------------------------------------


def test_a_bundle_reproduces_its_finding_and_only_with_the_fault(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        spoil_loss(patch, 1e3, {12})
        run = train(tmp_path / "run", steps=12, problems_per_step=4)
    folder = run.path / run.events()[0]["bundle"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "batch.json", "batch.safetensors", "finding.json", "model", "optimizer.safetensors", "recipe.yaml",
    ]  # fmt: skip
    with monkeypatch.context() as patch:
        spoil_loss(patch, 1e3, {1})
        seen = replay(folder)
    assert seen.reproduces
    assert seen.same_weights
    assert seen.credit_off == 0
    assert seen.now.grad_norm == pytest.approx(seen.stored.readings.grad_norm, rel=1e-6)
    assert seen.now.mismatch_k3 == seen.stored.readings.mismatch_k3
    seen = replay(folder)
    assert not seen.reproduces
    assert seen.trips == {}
    assert seen.now.grad_norm == pytest.approx(seen.stored.readings.grad_norm / 1e3, rel=1e-3)


def test_a_bundle_of_rollouts_reproduces_in_every_dtype(tmp_path, spiky):
    keys = {"guards": {"entropy_low": {"patience": 1}}}
    run = train(tmp_path / "run", model=str(spiky), steps=1, **keys)
    folder = run.path / run.events()[0]["bundle"]
    for dtype in ("recipe", "float32", "float64", "bfloat16"):
        seen = replay(folder, dtype=dtype)
        assert seen.reproduces
        assert seen.same_weights
        assert seen.now.entropy == seen.stored.readings.entropy


def test_the_worst_contributors_come_first(tmp_path):
    keys = {"guards": {"entropy_low": {"nats": 99.0, "patience": 1}}}
    run = train(tmp_path / "run", steps=1, num_generations=8, **keys)
    folder = run.path / run.events()[0]["bundle"]
    seen = replay(folder)
    losses = [abs(row.loss) for row in seen.worst]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0
    assert len(seen.worst) == 8
    assert all(row.norm > 0 for row in seen.worst if row.loss)
    assert max(row.gap for row in seen.worst) == pytest.approx(0.0, abs=1e-4)


def test_a_run_writes_no_more_bundles_than_it_may_and_says_so(tmp_path, spiky):
    heard = Heard()
    blocks = {"entropy_low": {"patience": 1}, "repetition": {"tail": 4, "patience": 1}, "bundles": 1}
    run = train(tmp_path / "run", progress=heard, model=str(spiky), steps=1, guards=blocks)
    assert [e["bundle"] is None for e in run.events()] == [False, True]
    assert len(list((run.path / "bundles").iterdir())) == 1
    assert any("as many as `guards.bundles` allows" in n for n in heard.notes)


def test_a_bundle_that_cannot_be_written_costs_the_run_nothing(tmp_path, spiky, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hone.training.guards.bundle.write_batch", full)
    heard = Heard()
    run = train(
        tmp_path / "run", progress=heard, model=str(spiky), steps=2, guards={"entropy_low": {"patience": 1}}
    )
    assert len(run.metrics()) == 2
    assert any("could not be written" in n and "No space left" in n for n in heard.notes)
    assert list((run.path / "bundles").iterdir()) == []


# --- weights ---------------------------------------------------------------------------------------------------------


def test_evaluations_and_checkpoints_carry_the_fingerprint_of_their_weights(tmp_path):
    run = train(tmp_path / "run", steps=2)
    first, last = run.evals()
    assert first["fingerprint"] == fingerprint(load_policy("micro:new"))
    assert last["fingerprint"] == fingerprint(load_policy(str(run.final))) != first["fingerprint"]
    assert (first["version"], last["version"]) == (0, 2)
    state = json.loads((run.path / "checkpoints" / "000002" / "trainer.json").read_text())
    assert state["fingerprint"] == last["fingerprint"]


def test_weights_that_are_not_those_of_their_checkpoint_are_refused(tmp_path):
    """The files are whole and their checksums hold, but what is loaded is not what was saved."""
    import hashlib

    out = tmp_path / "run"
    train(out, steps=2)
    folder = out / "checkpoints" / "000002"
    load_policy("micro:new", seed=9).save(folder)
    state = json.loads((folder / "trainer.json").read_text())
    for name in state["sha256"]:
        state["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    state["own_sha256"] = checkpoint._own(state)
    (folder / "trainer.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="edited, converted or mixed up"):
        train(out, steps=3, resume=True)


def test_a_bundle_says_if_its_weights_are_others(tmp_path, spiky):
    run = train(tmp_path / "run", model=str(spiky), steps=1, guards={"entropy_low": {"patience": 1}})
    folder = run.path / run.events()[0]["bundle"]
    load_policy("micro:new", seed=9).save(folder / "model")
    seen = replay(folder)
    assert not seen.same_weights
    assert RunFolder(folder).read_recipe()["model"] == str(spiky)
