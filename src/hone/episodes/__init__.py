"""Episodes: how a problem is attempted."""

from hone.episodes.demonstration import Demonstration
from hone.episodes.single_turn import SingleTurn
from hone.episodes.turns import Turns

__all__ = ["Demonstration", "SingleTurn", "Turns"]
