"""Rewards: what is worth how much."""

from hone.rewards.callable import CallableReward as CallableReward
from hone.rewards.judge import CallableJudge as CallableJudge
from hone.rewards.judge import TaskJudge as TaskJudge
from hone.rewards.retrospection import Retrospection as Retrospection
from hone.rewards.verifier import Verifier as Verifier
