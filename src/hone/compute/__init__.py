"""Compute: where the budget goes."""

from hone.compute.ledger import Ledger

__all__ = ["Ledger"]
