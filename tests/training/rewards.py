"""Reward functions that test runs name: one that works and several that break their contract."""

from __future__ import annotations

import signal


def even(problem, text):
    return float(sum(map(ord, text)) % 2 == 0)


def raises(problem, text):
    raise ValueError("no luck")


def sometimes(problem, text):
    if sum(map(ord, text)) % 3 == 0:
        raise ValueError("a multiple of three")
    return even(problem, text)


def short(completions, **_):
    return [1.0]


def nan(completions, **_):
    return [float("nan")] * len(completions)


def alarmed(text, answer):
    """Limits itself by a signal, as reward code in the field does: an error outside of the main thread."""
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, before)
    return float(sum(map(ord, text)) % 2 == 0)


def how_many(completions, **_):
    return [float(len(completions))] * len(completions)
