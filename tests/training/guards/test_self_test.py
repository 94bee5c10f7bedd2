"""The start-up self-test: engines that take the weights, and some that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hone
from builders import CharTokenizer, tiny_model
from hone.core.errors import EngineError
from hone.engines import NativeEngine, choose
from hone.policies.fingerprint import fingerprint
from hone.policies.token_policy import TokenPolicy
from hone.training.guards.self_test import check_reach
from hone.training.snapshot import SnapshotEngine


def policy(kind: str = "qwen3", autocast: torch.dtype | None = None) -> TokenPolicy:
    return TokenPolicy(tiny_model(kind), CharTokenizer(), autocast)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("engine", ["native", "transformers", "snapshot"])
@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_every_engine_passes_and_the_weights_are_as_before(kind, engine, autocast):
    made = policy(kind, autocast)
    made.version = 5
    before = fingerprint(made)
    served = SnapshotEngine(made, "native") if engine == "snapshot" else choose(made, engine)[0]
    check_reach(made, served)
    assert fingerprint(made) == before
    assert made.version == 5
    assert served.version == 5 if engine != "snapshot" else served.policy.version == 5


class Stale(SnapshotEngine):
    """Takes the version at `refresh`, and not the weights."""

    def refresh(self) -> None:
        self.policy.version = self._source.version
        self._engine.refresh()


class Partly(SnapshotEngine):
    """Forgets one of the weights at `refresh`."""

    def refresh(self) -> None:
        weight = self.policy.model.model.layers[1].mlp.down_proj.weight
        kept = weight.detach().clone()
        super().refresh()
        with torch.no_grad():
            weight.copy_(kept)
        self._engine.refresh()


class Never(NativeEngine):
    """Does nothing at `refresh`, so its version gives it away."""

    def refresh(self) -> None:
        pass


class Restless(NativeEngine):
    """Samples what it was told, and something else each time."""

    def run(self, requests):
        self.calls = getattr(self, "calls", 0) + 1
        results = super().run(requests)
        for completion in (c for completions in results for c in completions):
            completion.logprobs[:] = np.nextafter(completion.logprobs, np.float32(-self.calls * 9))
            if self.calls > 2:
                completion.logprobs[0] = np.nextafter(completion.logprobs[0], np.float32(-99))
        return results


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (lambda p: Stale(p, "native"), "do not reach"),
        (lambda p: Partly(p, "native"), "do not reach"),
        (Never, "version 1, the engine's at 0"),
        (Restless, "does not repeat itself"),
    ],
)
def test_an_engine_that_does_not_follow_is_found_and_the_weights_are_put_back(engine, message):
    made = policy()
    before = fingerprint(made)
    with pytest.raises(EngineError, match=message):
        check_reach(made, engine(made))
    assert fingerprint(made) == before
    assert made.version == 0


def test_a_policy_that_does_not_move_passes_no_test():
    made = policy("llama")
    with torch.no_grad():
        made.model.lm_head.weight.zero_()
    with pytest.raises(EngineError, match="moved by 0 nats"):
        check_reach(made, choose(made, "native")[0])


@pytest.mark.parametrize("ahead", [False, True])
def test_a_run_with_a_stale_engine_ends_before_its_first_step(ahead, tmp_path, monkeypatch):
    if ahead:
        monkeypatch.setattr("hone.training.session.SnapshotEngine", Stale)
    else:
        monkeypatch.setattr("hone.training.session.choose", lambda policy, name: (Stale(policy, name), ""))
    keys = {"one_step_off": True, "correction": "importance"} if ahead else {}
    with pytest.raises(EngineError, match="do not reach"):
        hone.train({"task": {"name": "maze", "sizes": 5}, "model": "micro:new", **keys}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
