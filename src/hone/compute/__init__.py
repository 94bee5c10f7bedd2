"""Compute: where the budget goes, and where it should go."""

from hone.compute.ledger import Ledger
from hone.compute.plan import plan

__all__ = ["Ledger", "plan"]
