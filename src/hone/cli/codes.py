"""Exit codes of every command, in one place."""

from __future__ import annotations

import signal

DONE = 0
FAULT = 1  # a part failed (an arm, a check), or something that nobody expected: with a traceback
ERROR = 2  # bad usage, recipe, data or files: one paragraph says what and how to mend it
NOTHING_TO_DO = 3  # a run to resume has finished
NOT_REPRODUCED = 4  # a replay does not find what the guard found


def signal_of(stop: KeyboardInterrupt) -> int:
    """The signal that stopped a run."""
    return int(getattr(stop, "number", signal.SIGINT))


def stopped_by(number: int) -> int:
    """The code of what a signal stopped, as shells number it: 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM."""
    return 128 + number
