"""What keys mean together: which combinations are refused, and which keys do nothing in a recipe."""

from hone.combinations.inert import inert
from hone.combinations.refused import refuse

__all__ = ["inert", "refuse"]
