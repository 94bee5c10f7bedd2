"""Curricula: which problems next, and how many rollouts each."""

from hone.curricula.uniform import Uniform

__all__ = ["Uniform"]
