from __future__ import annotations

import pytest
import torch

from hone.kernels.shortage import first_line, out_of_memory


def test_a_real_failed_allocation_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert "allocate" in first_line(caught.value)


def test_a_device_shortage_is_recognised_and_nothing_else_is():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore."))
    assert first_line(torch.OutOfMemoryError("CUDA out of memory.\nMore.")) == "CUDA out of memory."
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("DefaultCPUAllocator: can't allocate memory"))
    assert first_line(RuntimeError()) == "RuntimeError"
