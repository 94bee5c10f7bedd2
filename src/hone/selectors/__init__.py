"""Selectors: which rollouts are learnt from."""

from hone.selectors.helpful import Helpful
from hone.selectors.mask_truncated import MaskTruncated
from hone.selectors.part import LearnPart
from hone.selectors.zero_variance import ZeroVariance

__all__ = ["Helpful", "LearnPart", "MaskTruncated", "ZeroVariance"]
