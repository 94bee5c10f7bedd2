"""Host arrays to a device in one copy that the host does not wait for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def to_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[Tensor]:
    """One-dimensional integer `arrays` of one dtype as tensors on `device`.

    They travel together. For CUDA the host memory is pinned, so that the copy is queued like a kernel.
    """
    packed = torch.from_numpy(np.concatenate(arrays))
    if device.type == "cuda":
        packed = packed.pin_memory()
    moved = packed.to(device, non_blocking=True)
    return list(moved.split([len(a) for a in arrays]))
