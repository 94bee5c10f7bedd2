"""Episodes: how a problem is attempted."""

from hone.episodes.abstraction import Abstraction
from hone.episodes.abstraction_demonstration import AbstractionDemonstration
from hone.episodes.cheatsheet import Cheatsheet
from hone.episodes.continuation import Continuation
from hone.episodes.demonstration import Demonstration
from hone.episodes.single_turn import SingleTurn
from hone.episodes.thinking import Thinking
from hone.episodes.turns import Turns

__all__ = [
    "Abstraction",
    "AbstractionDemonstration",
    "Cheatsheet",
    "Continuation",
    "Demonstration",
    "SingleTurn",
    "Thinking",
    "Turns",
]
