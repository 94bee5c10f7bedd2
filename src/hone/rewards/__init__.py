"""Rewards: what is worth how much."""

from hone.rewards.abstraction import AbstractionReward as AbstractionReward
from hone.rewards.callable import CallableReward as CallableReward
from hone.rewards.fixed_majority import FixedMajority as FixedMajority
from hone.rewards.judge import CallableJudge as CallableJudge
from hone.rewards.judge import TaskJudge as TaskJudge
from hone.rewards.majority import Majority as Majority
from hone.rewards.verifier import Verifier as Verifier
