"""Curricula: which problems next, and how many rollouts each."""

from hone.curricula.base_votes import BaseVotes
from hone.curricula.by_level import ByLevel
from hone.curricula.dynamic_sampling import DynamicSampling
from hone.curricula.early_stop import EarlyStop
from hone.curricula.maxrl_optimal import MaxrlOptimal
from hone.curricula.pope import Pope
from hone.curricula.test_time import TestTime
from hone.curricula.uniform import Uniform
from hone.curricula.variance_optimal import VarianceOptimal

__all__ = [
    "BaseVotes",
    "ByLevel",
    "DynamicSampling",
    "EarlyStop",
    "MaxrlOptimal",
    "Pope",
    "TestTime",
    "Uniform",
    "VarianceOptimal",
]
