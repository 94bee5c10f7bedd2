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
        self._captures = device.type == "cuda"
        self.forget()

    def forget(self) -> None:
        """Drop what was captured: memory that it reads has moved."""
        self._graphs: dict[StepShape, Any] = {}
        self._called: set[StepShape] = set()
        self._pool: Any = None

    def __call__(self, shape: StepShape) -> None:
        """Run one step."""
        graph = self._graphs.get(shape)
        if graph is None and (not self._captures or shape not in self._called):
            self._called.add(shape)
            self._step(shape)
            return
        if graph is None:
            graph = self._graphs[shape] = self._capture(shape)
        graph.replay()

    def _capture(self, shape: StepShape) -> Any:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile: a trainer, with `one_step_off`.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            self._step(shape)
        return graph
