"""Episodes: how a problem is attempted."""

from hone.episodes.continuation import Continuation
from hone.episodes.demonstration import Demonstration
from hone.episodes.single_turn import SingleTurn
from hone.episodes.thinking import Thinking

__all__ = ["Continuation", "Demonstration", "SingleTurn", "Thinking"]
