"""Selectors: which rollouts are learnt from."""

from hone.selectors.mask_truncated import MaskTruncated
from hone.selectors.zero_variance import ZeroVariance

__all__ = ["MaskTruncated", "ZeroVariance"]
