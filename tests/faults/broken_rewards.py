"""Reward functions that break every rule on some texts, and the same ones with no verdict (None) on those texts."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

KINDS = 16


def kind(text):
    """Which of the faults, or of the sound answers, a text meets: spread evenly, and the same in every process."""
    return sum((i + 1) * ord(c) for i, c in enumerate(text)) % KINDS


def sound(text):
    return float(sum(map(ord, text)) % 2)


def raises(text):
    raise ValueError("no luck")


def not_a_number(text):
    return float("nan")


def huge(text):
    return 1e300


def word(text):
    return "good"


def killed(text):
    os.kill(os.getpid(), signal.SIGKILL)


def ended(text):
    os._exit(3)


def left(text):
    sys.exit(3)


def hungry(text):
    return len(bytearray(1 << 40))


def hangs(text):
    time.sleep(600)


def stopped(text):
    os.kill(os.getpid(), signal.SIGSTOP)


def prints(text):
    while True:
        print("x" * 1000)


FAULTS = dict(
    enumerate((raises, not_a_number, huge, word, killed, ended, left, hungry, hangs, stopped, prints))
)
HARMLESS = {3: word, 0: raises, 1: not_a_number, 2: huge}  # to the process that they run in


def forks(text):
    """Not a fault: both processes come back, one of them is the worker."""
    os.fork()
    return sound(text)


def suite(problem, text):
    (Path(__file__).parent / f"met-{kind(text)}").touch()
    if kind(text) == len(FAULTS):
        return forks(text)
    return FAULTS.get(kind(text), sound)(text)


def suite_without(problem, text):
    return None if kind(text) in FAULTS else sound(text)


def step_suite(completions, trainer_state, **columns):
    """A fault for all texts of a step; evaluations are step 0."""
    step = trainer_state["global_step"]
    faults = {1: raises, 3: killed, 5: hangs, 6: prints}
    if step in faults:
        faults[step]("")
    values = [sound(text) for text in completions]
    return {2: values[:-1], 4: 0.5, 7: [*values[:-1], float("nan")]}.get(step, values)


def step_suite_without(completions, trainer_state, **columns):
    values = [sound(text) for text in completions]
    step = trainer_state["global_step"]
    if step == 7:
        return [*values[:-1], None]
    return [None] * len(values) if 1 <= step <= 6 else values


def in_process(text, answer):
    return HARMLESS.get(kind(text), sound)(text)


def in_process_without(text, answer):
    return None if kind(text) in HARMLESS else sound(text)


async def late(text, answer):
    if kind(text) in (0, 1):
        await asyncio.sleep(600)
    return sound(text)


def late_without(text, answer):
    return None if kind(text) in (0, 1) else sound(text)
