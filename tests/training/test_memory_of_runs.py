"""Runs and memory: what is settled before the first step, stored and taken up again, and what a shortage leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import hone
from builders import CharTokenizer, tiny_model
from hone.catalog import build_method
from hone.core.errors import PolicyError
from hone.engines.decoding import Decoding
from hone.policies.loading import load_policy
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.tasks import make
from hone.training import arms
from hone.training.folder import RunFolder
from hone.training.guards import self_test
from hone.training.planning import adopt, longest, plan_of, settle, shape_of
from hone.training.progress import Quiet
from hone.training.resume import identity
from hone.training.session import open_session
from training.starving import SAID

TINY = {
    "task": {"name": "maze", "sizes": 5},
    "reward": f"{Path(__file__).parent / 'rewards.py'}:even",
    "model": "micro:new",
    "num_generations": 6,
    "problems_per_step": 3,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "eval": {"problems": 4, "samples": 4, "k": [1]},
}


class Heard(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.plans: list = []

    def note(self, text):
        self.notes.append(text)

    def plan(self, recipe, method, plan):
        self.plans.append((recipe, plan))


def weights(run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in load_policy(str(run.final)).parameters()])


def starve_updates(monkeypatch, calls: set[int]) -> list[int]:
    """Training passes fail in the given calls, counted from 1 over the whole run."""
    whole, sizes = TokenPolicy.score, []

    def score(self, forest, *args, **options):
        if torch.is_grad_enabled():
            sizes.append(forest.num_stored)
            if len(sizes) in calls:
                raise torch.OutOfMemoryError(SAID)
        return whole(self, forest, *args, **options)

    monkeypatch.setattr(TokenPolicy, "score", score)
    return sizes


def starve_sampling(monkeypatch, calls: set[int]) -> list[int]:
    """Calls of the native engine fail before their first token, counted from 1; returns the slots of every call.

    Those of the start-up self-test are left out.
    """
    whole, slots = Decoding.run, []

    def run(self):
        if self._work.limits.max() == self_test.TOKENS:
            return whole(self)
        slots.append(self._slots)
        if len(slots) in calls:
            raise torch.OutOfMemoryError(SAID)
        whole(self)

    monkeypatch.setattr(Decoding, "run", run)
    return slots


def test_what_is_settled_is_said_stored_and_the_same_for_every_session(tmp_path):
    heard = Heard()
    run = hone.train(TINY, steps=1, out=tmp_path / "run", progress=heard)
    stored = run.recipe()
    assert stored["max_tokens_per_microbatch"] == 8_192
    assert stored["recompute_activations"] is False
    ((recipe, plan),) = heard.plans
    assert recipe.max_tokens_per_microbatch == plan.max_tokens == 8_192
    assert plan.fits
    again = hone.train(TINY, steps=2, out=tmp_path / "run", resume=True)  # the recipe still says `auto`
    assert again.recipe()["max_tokens_per_microbatch"] == 8_192
    assert not (tmp_path / "run" / "events.jsonl").exists()
    assert json.loads((run.path / "summary.json").read_text())["shortages"] == 0


def test_a_resumed_run_keeps_its_number_on_another_machine_and_says_if_it_does_not_fit(tmp_path, monkeypatch):
    out = tmp_path / "run"
    hone.train(TINY, steps=1, out=out, max_tokens_per_microbatch=40)
    heard = Heard()
    monkeypatch.setattr("hone.training.planning.memory_bytes", lambda device: 1 << 20)
    recipe = resolve(TINY, {"steps": 2})[0]
    session = open_session(recipe, RunFolder(out), heard, resume=True)
    assert session.budget.tokens == session.recipe.max_tokens_per_microbatch == 40
    assert any("does not fit" in note for note in heard.notes)
    changed = resolve(TINY, {"steps": 2, "max_tokens_per_microbatch": 80, "recompute_activations": True})[0]
    session = open_session(changed, RunFolder(out), heard, resume=True)  # a mend is no other recipe
    assert session.budget.tokens == 80
    assert identity(changed) == identity(recipe)


def test_settling_and_adopting():
    recipe = resolve(TINY)[0]
    policy = TokenPolicy(tiny_model(), CharTokenizer())
    plan = plan_of(recipe, build_method(recipe), make("maze", sizes=5), policy)
    settled = settle(recipe, plan)
    assert (settled.max_tokens_per_microbatch, settled.recompute_activations) == (8_192, False)
    assert (
        settle(settled.model_copy(update={"max_tokens_per_microbatch": 7}), plan).max_tokens_per_microbatch
        == 7
    )
    assert adopt(recipe, settled.dump()) == settled
    assert adopt(settled, recipe.dump()) == settled
    assert adopt(recipe, {}) == recipe


def test_the_shape_of_a_policy_is_that_of_its_model():
    shape = shape_of(TokenPolicy(tiny_model("qwen3"), CharTokenizer(), torch.bfloat16))
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.head_dim, shape.ffn) == (
        2,
        32,
        4,
        2,
        8,
        48,
    )
    assert (shape.tied, shape.qk_norm, shape.weight_bytes, shape.compute_bytes) == (True, True, 4, 2)
    llama = shape_of(TokenPolicy(tiny_model("llama"), CharTokenizer()))
    assert (llama.head_dim, llama.tied, llama.qk_norm, llama.casts) == (8, False, False, False)
    gpt2 = shape_of(TokenPolicy(tiny_model("gpt2"), CharTokenizer()))
    assert (gpt2.layers, gpt2.kv_heads, gpt2.head_dim, gpt2.ffn) == (2, 4, 8, 128)


def test_the_longest_prompt_and_answer_are_looked_at():
    recipe = resolve(TINY)[0]
    task, policy = make("maze", sizes=5), load_policy("micro:new")
    prompts = [len(policy.encode(task.problem(i).prompt)) for i in range(3)]
    assert longest(recipe, build_method(recipe), task, policy) == (max(prompts), 6)
    taught = resolve(TINY, {"method": "sft", "reward": None})[0]
    oracles = [len(policy.encode_answer(task.problem(i).oracle)) for i in range(3)]
    assert longest(taught, build_method(taught), task, policy) == (max(prompts), max(oracles))


def test_a_policy_is_told_to_recompute_where_the_recipe_or_memory_asks_for_it(tmp_path, monkeypatch):
    heard = Heard()
    asked = open_session(resolve(TINY, {"recompute_activations": True})[0], RunFolder(tmp_path), heard)
    assert asked.policy.recompute is True
    assert any("again in the backward pass" in note for note in heard.notes)
    assert open_session(resolve(TINY)[0], RunFolder(tmp_path), heard).policy.recompute is False
    monkeypatch.setattr("hone.training.planning.memory_bytes", lambda device: 13 << 20)
    tight = open_session(resolve(TINY, {"model": "sprout:new"})[0], RunFolder(tmp_path), Heard())
    assert tight.policy.recompute is tight.recipe.recompute_activations is True


def test_a_run_that_ran_out_of_memory_is_the_run_with_half_the_budget(tmp_path, monkeypatch):
    """8,192 tokens hold a step whole; the update of step 2 fails in it, and from there on passes are smaller."""
    keys = {"steps": 3, "checkpoint": {"every": 2}}
    plain = hone.train(TINY, out=tmp_path / "plain", **keys)
    heard = Heard()
    with monkeypatch.context() as patch:
        sizes = starve_updates(patch, {2})
        run = hone.train(TINY, out=tmp_path / "run", progress=heard, **keys)
    torch.testing.assert_close(weights(run), weights(plain), rtol=0, atol=1e-4)
    (event,) = run.events()
    after = event["after"]
    assert event == {
        "step": 2, "event": "out_of_memory", "where": "update", "max_tokens_per_microbatch_before": 8_192,
        "after": after, "detail": SAID.splitlines()[0],
    }  # fmt: skip
    assert sizes[1] / 2 <= after < sizes[1]
    assert any("step 2 (update)" in note and "not bit-identical" in note for note in heard.notes)
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["shortages"] == 1
    assert summary["lost_tokens"] == sizes[1]


def test_the_smaller_budget_outlives_an_interruption(tmp_path, monkeypatch):
    out, keys = tmp_path / "run", {"checkpoint": {"every": 1}}
    with monkeypatch.context() as patch:
        starve_updates(patch, {2})
        whole = hone.train(TINY, out=tmp_path / "whole", steps=4, **keys)
    with monkeypatch.context() as patch:
        starve_updates(patch, {2})
        run = hone.train(TINY, out=out, steps=2, **keys)
    after = run.events()[0]["after"]
    resumed = hone.train(TINY, out=out, steps=4, resume=True, **keys)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=1e-6)
    assert len(resumed.events()) == 1
    assert (
        resumed.recipe()["max_tokens_per_microbatch"] == 8_192
    )  # what was settled; the checkpoint has what is left
    state = json.loads((out / "checkpoints" / "000004" / "trainer.json").read_text())
    assert state["memory"] == {"shortages": 1, "max_tokens_per_microbatch": after}


def test_events_after_the_checkpoint_are_cut_with_the_other_logs(tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        starve_updates(patch, {2})
        hone.train(TINY, out=out, steps=2, checkpoint={"every": 1})
    shutil.rmtree(out / "checkpoints" / "000002")
    resumed = hone.train(TINY, out=out, steps=2, resume=True, checkpoint={"every": 1})
    assert resumed.events() == []
    assert len(list(out.glob("events.after-*.jsonl"))) == 1


def test_a_shortage_while_sampling_is_an_event_and_changes_no_sample(tmp_path, monkeypatch):
    plain = hone.train(TINY, out=tmp_path / "plain", steps=2)
    with monkeypatch.context() as patch:
        slots = starve_sampling(patch, {2})  # of step 1; the first call evaluates
        found = hone.train(TINY, out=tmp_path / "run", steps=2)
    (event,) = found.events()
    assert (event["step"], event["where"]) == (1, "sampling")
    assert (event["max_slots_before"], event["after"]) == (18, 9)
    assert max(slots[2:]) == 9
    lines = [{k: v for k, v in line.items() if k in ("length/mean", "sampled_tokens", "pass_rate")}
             for r in (found, plain) for line in r.metrics()]  # fmt: skip
    assert lines[:2] == lines[2:]
    state = json.loads((found.path / "checkpoints" / "000002" / "trainer.json").read_text())
    assert state["memory"] == {"shortages": 1, "max_tokens_per_microbatch": 8_192, "max_slots": 9}
    session = open_session(resolve(TINY, {"steps": 3})[0], RunFolder(found.path), Quiet(), resume=True)
    assert session.engine.max_slots == 9


def test_a_rollout_that_does_not_fit_alone_stops_the_run(tmp_path, monkeypatch):
    starve_updates(monkeypatch, set(range(1, 100)))
    with pytest.raises(PolicyError, match="one unit alone"):
        hone.train(TINY, out=tmp_path / "run", steps=1)
    assert len(RunFolder(tmp_path / "run").read("events.jsonl")) >= 1


def test_an_arm_knows_its_own_run_whatever_was_settled_in_it(tmp_path):
    recipe = resolve(TINY)[0]
    arm = arms.Arm("rloo", 0, recipe, tmp_path / "arm")
    arm.folder.mkdir()
    settled = recipe.model_copy(update={"max_tokens_per_microbatch": 512, "recompute_activations": True})
    (arm.folder / "recipe.yaml").write_text(yaml.safe_dump(settled.dump()))
    assert arm.finished() is False  # it has no summary, and is no other recipe's


def test_an_evaluation_of_its_own_says_that_memory_ran_out(monkeypatch):
    slots = starve_sampling(monkeypatch, {1})
    line = hone.evaluate("micro:new", {"name": "maze", "sizes": 5}, k=[1], problems=2, samples=4)
    assert slots == [8, 4]
    assert line["note"].startswith(
        "Memory ran out while sampling 8 rollouts at once, so there were 4: CUDA out of"
    )
