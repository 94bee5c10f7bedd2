"""Rewards: what is worth how much."""

from hone.rewards.abstraction import AbstractionReward as AbstractionReward
from hone.rewards.callable import CallableReward as CallableReward
from hone.rewards.fixed_majority import FixedMajority as FixedMajority
from hone.rewards.judge import CallableJudge as CallableJudge
from hone.rewards.judge import TaskJudge as TaskJudge
from hone.rewards.length_penalty import LengthPenalty as LengthPenalty
from hone.rewards.length_penalty import length_penalised as length_penalised
from hone.rewards.majority import Majority as Majority
from hone.rewards.progress import Progress as Progress
from hone.rewards.progress import episode_progress as episode_progress
from hone.rewards.retrospection import Retrospection as Retrospection
from hone.rewards.termination_baseline import TerminationBaseline as TerminationBaseline
from hone.rewards.termination_baseline import less_termination as less_termination
from hone.rewards.verifier import Verifier as Verifier
