"""Selectors: which rollouts are learnt from."""

from hone.selectors.continuations import Continuations
from hone.selectors.helpful import Helpful
from hone.selectors.mask_truncated import MaskTruncated
from hone.selectors.most_progress import MostProgress
from hone.selectors.part import LearnPart
from hone.selectors.zero_variance import ZeroVariance

__all__ = ["Continuations", "Helpful", "LearnPart", "MaskTruncated", "MostProgress", "ZeroVariance"]
