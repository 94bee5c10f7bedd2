"""The state of stages as a checkpoint holds it: JSON values, and tensors in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

TENSOR = "tensor:"  # a text that begins so stands for the tensor of that name


def split(value: Any, tensors: dict[str, torch.Tensor], path: str = "") -> Any:
    """`value` with every tensor put into `tensors` under its path, and that path in its place.

    Raises TypeError for what is neither JSON nor a tensor, and for a text that looks like a tensor's place.
    """
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().contiguous()
        return TENSOR + path
    if isinstance(value, Mapping):
        return {str(key): split(item, tensors, f"{path}/{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [split(item, tensors, f"{path}/{at}") for at, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and not value.startswith(TENSOR):
        return value
    raise TypeError(
        f"the state of a stage holds {value!r} at {path}: only JSON values and tensors can be kept"
    )


def joined(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """What `split` took apart. Lists stay lists."""
    if isinstance(value, str) and value.startswith(TENSOR):
        return tensors[value.removeprefix(TENSOR)]
    if isinstance(value, Mapping):
        return {key: joined(item, tensors) for key, item in value.items()}
    return [joined(item, tensors) for item in value] if isinstance(value, list) else value
