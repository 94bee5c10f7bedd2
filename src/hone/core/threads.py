"""Threads beside the main one: each does one thing at a time, and signals are none of its business."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what asks a process to end
SIGNALS = {*STOPPING, signal.SIGALRM}  # what the main thread is interrupted by


def worker(name: str) -> ThreadPoolExecutor:
    """One thread called `name`, started at its first work; it ends when nobody holds it any more."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=leave_signals)


def leave_signals() -> None:
    """Leave signals to the main thread; for a thread to call as its first work."""
    # Python acts on signals in the main thread only; one that the system gave to another thread would not wake it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
