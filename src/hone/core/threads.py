"""Threads beside the main one: each does one thing at a time, signals are none of its business, and it idles alone."""

from __future__ import annotations

import ctypes
import os
import signal
from concurrent.futures import ThreadPoolExecutor

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what asks a process to end
SIGNALS = {*STOPPING, signal.SIGALRM}  # what the main thread is interrupted by
_SOFT = 1  # omp_pause_soft: threads end, settings stay


def worker(name: str) -> ThreadPoolExecutor:
    """One thread called `name`, started at its first work; it ends when nobody holds it any more."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=leave_signals)


def leave_signals() -> None:
    """Leave signals to the main thread; for a thread to call as its first work."""
    # Python acts on signals in the main thread only; one that the system gave to another thread would not wake it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def end_helpers() -> None:
    """End the OpenMP threads that help the calling thread; its next parallel work starts them again soon.

    For a thread that hands work to another one and waits. Each thread has helpers of its own, and once there are more
    of all of them than processors, GNU OpenMP puts threads to sleep between any two parallel loops instead of letting
    them spin, which makes decoding up to twice as slow. Does nothing under another OpenMP.
    """
    try:
        found = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except (OSError, AttributeError):  # not loaded, or not a system that knows the name
        return
    found.omp_pause_resource_all(_SOFT)
