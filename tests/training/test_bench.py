"""The workload of a benchmark is what it says: lengths, prompts, and steps of the library's own loop."""

from __future__ import annotations

import dataclasses

import pytest

from hone.core.errors import EngineError, PolicyError, RecipeError
from hone.policies.loading import load_tokenizer
from hone.training.bench import prompts
from hone.training.bench.lengths import schedule
from hone.training.bench.stepping import Bench
from hone.training.bench.workload import PRESETS, Workload

MICRO = "qwen3:hidden=32,layers=2,heads=2,kv_heads=1,head_dim=16,ffn=64,vocab=98"
SMALL = Workload(MICRO, problems=3, generations=2, prompt=7, completion=9, lengths="realistic", device="cpu")


def test_equal_lengths_are_the_longest():
    assert schedule(3, 7, "equal") == [7, 7, 7]


@pytest.mark.parametrize(("rollouts", "longest"), [(64, 128), (64, 512), (1000, 512)])
def test_realistic_lengths_have_a_quarter_of_the_longest_on_average(rollouts, longest):
    lengths = schedule(rollouts, longest, "realistic")
    assert sum(lengths) / rollouts == pytest.approx(longest / 4, rel=0.02)
    assert max(lengths) == longest
    assert min(lengths) >= 1
    middle = sorted(lengths)[rollouts // 2]
    assert middle < 0.8 * longest / 4  # skewed to the right
    assert lengths == schedule(rollouts, longest, "realistic")
    assert lengths != sorted(lengths)


def test_unknown_lengths_are_refused():
    with pytest.raises(EngineError, match="no lengths `real`"):
        schedule(4, 8, "real")


@pytest.mark.parametrize("model", ["sprout", MICRO, PRESETS["qwen3-0.6b"]])
def test_prompts_are_different_and_of_the_wanted_size(model):
    tokenizer = load_tokenizer(model)
    found = [prompts.prompt(tokenizer, 33, i) for i in range(4)]
    assert [len(tokenizer(text)["input_ids"]) for text in found] == [33] * 4
    assert len(set(found)) == 4


def test_a_size_that_no_prompt_has_is_refused():
    class Pairs:
        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [0, 0] * len(text)}

    with pytest.raises(PolicyError, match="No prompt of 3 tokens"):
        prompts.prompt(Pairs(), 3, 0)


def test_a_step_samples_the_scheduled_lengths_and_trains_on_all_of_them(tmp_path):
    bench = Bench(SMALL, tmp_path)
    seen = []
    observe = bench.session.policy.score

    def score(forest, *arguments, **options):
        seen.append((forest.lengths.tolist(), forest.num_stored))
        return observe(forest, *arguments, **options)

    bench.session.policy.score = score
    step = bench.step()
    assert seen == [(SMALL.schedule(), 3 * 7 + sum(SMALL.schedule()))]
    assert step.sampled == sum(SMALL.schedule())
    assert step.stored == 3 * 7 + step.sampled
    assert step.grad_norm > 0
    assert bench.session.ledger.updates == bench.session.policy.version == 1
    assert {"sample", "train"} <= set(step.phases)
    assert 0 < sum(step.phases.values()) <= step.seconds


def test_parts_of_training_are_seen_and_leave_nothing_behind(tmp_path):
    bench = Bench(dataclasses.replace(SMALL, max_tokens=20), tmp_path)
    before = bench.session.policy.score, bench.session.optimizer.step
    parts = bench.parts_of_training()
    assert set(parts) == {"forward", "backward", "optimizer"}
    assert all(seconds > 0 for seconds in parts.values())
    assert (bench.session.policy.score, bench.session.optimizer.step) == before
    assert bench.session.ledger.updates == 1


def test_unequal_lengths_want_the_native_engine(tmp_path, monkeypatch):
    monkeypatch.setattr("hone.engines.unsupported", lambda model: "it is a test")
    with pytest.raises(EngineError, match="would be measured as something else"):
        Bench(SMALL, tmp_path)


@pytest.mark.parametrize("key", ["problems", "generations", "prompt", "completion", "max_tokens"])
def test_numbers_without_a_meaning_are_refused(key):
    with pytest.raises(RecipeError, match=f"`{key}` is 0"):
        Workload(MICRO, **{key: 0})


def test_a_workload_beyond_the_models_context_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="context"):
        Bench(Workload("micro:new", completion=1100, device="cpu"), tmp_path)
