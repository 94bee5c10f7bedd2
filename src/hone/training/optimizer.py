"""AdamW and the learning-rate schedule, as a pure function of the update count."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from hone.core.errors import CheckpointError

Schedule = Literal["constant", "cosine", "linear"]


def learning_rate(
    update: int, total: int, peak: float, schedule: Schedule = "constant", warmup: int = 0
) -> float:
    """The rate of the 0-based `update` of `total`: linear warm-up to `peak`, then constant or decayed to 0."""
    if update < warmup:
        return peak * (update + 1) / warmup
    progress = min(1.0, (update - warmup) / max(1, total - warmup))
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "linear":
        return peak * (1 - progress)
    return peak


def make_optimizer(
    parameters: list[nn.Parameter], weight_decay: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """Fused AdamW; matrices decay, vectors (norms, biases) do not."""
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, betas=betas, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as flat named tensors, for safetensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value.detach().cpu().contiguous()
        for index, entry in state.items()
        for name, value in entry.items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put `optimizer_tensors` back. Raises CheckpointError if they belong to other parameters."""
    full = optimizer.state_dict()
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for at, entry in state.items():
        moments = entry.get("exp_avg")
        if at >= len(parameters) or (moments is not None and moments.shape != parameters[at].shape):
            raise CheckpointError("The optimizer state belongs to another model.", "Start a new run folder.")
    full["state"] = state
    optimizer.load_state_dict(full)
