"""Selectors: which rollouts are learnt from."""

__all__ = [
    "Continuations",
    "Helpful",
    "LearnPart",
    "MaskTruncated",
    "MostProgress",
    "ZeroVariance",
]
