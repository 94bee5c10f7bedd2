"""Parts of a group whose episodes have two levels: abstractions, and what is answered with, without or from them."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """The label `part` of a trajectory: what it is normalised together with."""

    SOLUTION = 0  # an answer to the problem with an abstraction
    ABSTRACTION = 1
    BARE = 2  # an answer without one
    BLIND = 3  # an answer from an abstraction without the problem, which finds leaks and is never learnt from
