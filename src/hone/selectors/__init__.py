"""Selectors: which rollouts are learnt from."""

from hone.selectors.continuations import Continuations
from hone.selectors.mask_truncated import MaskTruncated
from hone.selectors.most_progress import MostProgress
from hone.selectors.zero_variance import ZeroVariance

__all__ = ["Continuations", "MaskTruncated", "MostProgress", "ZeroVariance"]
