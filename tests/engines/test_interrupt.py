"""An interrupt that arrives while the engine samples ends the program as an interrupt, not as an error of futures."""

from __future__ import annotations

import asyncio
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hone.core.noise import NoiseKey
from hone.core.sampling import SampleRequest, SamplingParams
from hone.engines import barrier


class Interrupted(barrier.BarrierEngine):
    """Is interrupted, as by Ctrl-C, while it serves."""

    name = "interrupted"

    def run(self, requests):
        os.kill(os.getpid(), signal.SIGINT)
        return [[] for _ in requests]

    def refresh(self) -> None:
        """Nothing to take."""


@pytest.mark.parametrize("episodes", [1, 3])
def test_an_interrupt_while_sampling_stays_an_interrupt(monkeypatch, episodes):
    monkeypatch.setattr(barrier, "check_request", lambda *_: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = Interrupted(SimpleNamespace(version=0, device=torch.device("cpu")))

    async def one(index: int) -> None:
        request = SampleRequest(np.zeros(1, np.int64), 1, SamplingParams(4), NoiseKey(0, "train", index))
        try:
            await engine.sample(request)
        finally:
            engine.leave()

    async def all_of_them() -> None:
        engine.expect(episodes)
        await asyncio.gather(*(one(index) for index in range(episodes)))

    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(all_of_them())
    finally:
        signal.signal(signal.SIGINT, before)
