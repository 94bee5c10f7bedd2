"""Selectors: which rollouts are learnt from."""

from hone.selectors.mask_truncated import MaskTruncated

__all__ = ["MaskTruncated"]
