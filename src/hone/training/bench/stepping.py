"""Steps of the loop on a workload, timed: the session, the engine and the updates are those of `hone train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from hone.core.errors import EngineError
from hone.engines import choose
from hone.training.bench.lengths import ScheduledEngine, endless
from hone.training.bench.workload import Workload
from hone.training.folder import RunFolder
from hone.training.loop import gather, one_step
from hone.training.progress import Quiet
from hone.training.session import Session, open_session


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@dataclass(frozen=True)
class Step:
    """One step: wall seconds of the whole and of its phases, tokens sampled, tokens trained on, gradient norm.

    `stored` tokens are those of the training passes: each prompt once, and every sampled token.
    """

    seconds: float
    phases: Mapping[str, float]
    sampled: int
    stored: int
    grad_norm: float


@dataclass
class _Line(Quiet):
    """Keeps the last line of metrics."""

    line: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)

    def step(self, line: Mapping[str, Any], of: int) -> None:
        """Kept."""
        self.line = line


class Bench:
    """An open session that takes step after step. Its files go to `folder`.

    Raises what opening a session raises, and EngineError if the engine cannot keep to the lengths.
    """

    def __init__(self, workload: Workload, folder: Path) -> None:
        self.workload = workload
        self._progress = _Line()
        self.session: Session = open_session(workload.recipe(folder), RunFolder(folder), self._progress)
        session = self.session
        endless(session.policy)
        engine, _ = choose(session.policy, session.recipe.engine)
        if engine.name == "transformers" and workload.lengths != "equal":
            raise EngineError(
                "The engine `transformers` samples rollouts of each length in a call of its own, so unequal lengths "
                "would be measured as something else.",
                "Use `equal` lengths, or a model that the native engine serves.",
            )
        session.engine = ScheduledEngine(engine, workload.schedule(), workload.generations)
        # The loop need not wait for an optimizer step, but then its time would be booked on the next phase.
        session.optimizer.register_step_post_hook(lambda *_: synchronize(self.device))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.session.policy.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of forward passes."""
        policy = self.session.policy
        own: torch.dtype = next(policy.model.parameters()).dtype
        return policy.autocast or own

    @property
    def notes(self) -> list[str]:
        """What the session had to say."""
        return self._progress.notes

    def step(self) -> Step:
        """Take a step. Raises EngineError if it did not sample what the schedule says."""
        session, ledger = self.session, self.session.ledger
        before = ledger.sampled_tokens, ledger.trained_tokens
        synchronize(self.device)
        start = time.perf_counter()
        one_step(session)
        synchronize(self.device)
        seconds = time.perf_counter() - start
        sampled = ledger.sampled_tokens - before[0]
        if sampled != sum(self.workload.schedule()):
            raise EngineError(
                f"A step sampled {sampled} tokens, the schedule has {sum(self.workload.schedule())}.",
                "Report this: it is a bug.",
            )
        inside = ("step", "reward_overlapped")  # the whole, and a part of sampling
        phases = {name: value for name, value in session.seconds.items() if name not in inside}
        norm = float(self._progress.line["grad_norm"])
        return Step(seconds, phases, sampled, ledger.trained_tokens - before[1], norm)

    def sample(self) -> float:
        """Wall seconds of sampling the next step's rollouts, which are thrown away."""
        synchronize(self.device)
        start = time.perf_counter()
        step = self.session.step + 1
        gather(self.session, step, self.session.context(step))
        synchronize(self.device)
        return time.perf_counter() - start

    def parts_of_training(self) -> dict[str, float]:
        """Seconds of forward passes, backward passes and the optimizer in one step, each awaited by itself.

        Waiting between them keeps a GPU from running ahead, so this step is not one of those that are timed.
        """
        spent = {"forward": 0.0, "backward": 0.0, "optimizer": 0.0}

        @contextmanager
        def timed(name: str) -> Iterator[None]:
            synchronize(self.device)
            start = time.perf_counter()
            yield
            synchronize(self.device)
            spent[name] += time.perf_counter() - start

        def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                with timed(name):
                    return function(*arguments, **options)

            return call

        session = self.session
        with (
            patch.object(session.policy, "score", around("forward", session.policy.score)),
            patch("torch.autograd.backward", around("backward", torch.autograd.backward)),
            patch.object(session.optimizer, "step", around("optimizer", session.optimizer.step)),
        ):
            self.step()
        return spent
