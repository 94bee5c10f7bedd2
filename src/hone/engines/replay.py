"""Runs static steps: on CUDA each is captured into a graph once and replayed, elsewhere it is simply called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hone.engines.static_state import StepShape


class Replay:
    """Steps of a function that depends on its shape and on the contents of device memory alone.

    The first step of a shape is called as it is, which compiles its kernels; the second one is captured, and every
    further one replays it. All graphs share one memory pool.
    """

    def __init__(self, step: Callable[[StepShape], None], device: torch.device) -> None:
        self._step = step
        self._device = device
        self._captures = device.type == "cuda"
        self.forget()

    def forget(self) -> None:
        """Drop what was captured: memory that it reads has moved."""
        self._graphs: dict[StepShape, Any] = {}
        self._called: set[StepShape] = set()
        self._pool: Any = None

    def __call__(self, shape: StepShape) -> None:
        """Run one step."""
        if not self._captures:
            self._step(shape)
            return
        with torch.cuda.device(self._device):
            if shape in self._graphs:
                self._graphs[shape].replay()
            elif shape in self._called:
                self._graphs[shape] = self._capture(shape)
                self._graphs[shape].replay()
            else:
                self._called.add(shape)
                self._step(shape)

    def _capture(self, shape: StepShape) -> Any:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on using the GPU while this one captures: a trainer, with `one_step_off`.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            self._step(shape)
        return graph
