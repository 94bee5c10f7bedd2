"""The threads that help with arithmetic: how long they spin for their next loop, and when they end."""

from __future__ import annotations

import os
import sys

_SOFT = 1  # omp_pause_soft: threads end, settings stay
_SPINS = "3000"  # looks at a flag, some microseconds: longer than the gap between two loops of a decode step


def limit_spinning() -> None:
    """Have OpenMP threads that wait for their next loop spin for microseconds, then sleep.

    GNU OpenMP lets them spin for seconds, while the thread they wait for may need the processor that they spin on: with
    one other busy process on two cores a decode step took five times as long. It reads its environment once, so this
    does nothing when torch has been imported; and nothing where the user's environment says how threads wait.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def end_helpers() -> None:
    """End the OpenMP threads that help the calling thread; its next parallel work starts them again soon.

    For a thread that hands work to another one and waits. Each thread has helpers of its own, and once there are more
    of all of them than processors, GNU OpenMP hardly lets them spin, which made decoding take 1.7 times as long on two
    cores. Does nothing under another OpenMP, and where nothing else limits how long threads spin.
    """
    if "GOMP_SPINCOUNT" not in os.environ:
        return
    import ctypes  # not needed to import hone, which workers and sandboxes do often

    try:
        found = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except (OSError, AttributeError):  # not loaded, or not a system that knows the name
        return
    found.omp_pause_resource_all(_SOFT)
