"""Objectives: how the policy moves. Terms per token to be minimised, and the weights that sum them to a
loss."""

from hone.objectives.cispo import Cispo as Cispo
from hone.objectives.cispo import cispo as cispo
from hone.objectives.correction import Correction as Correction
from hone.objectives.correction import importance_weights as importance_weights
from hone.objectives.correction import mismatch as mismatch
from hone.objectives.entropy import EntropyBonus as EntropyBonus
from hone.objectives.entropy import entropy_bonus as entropy_bonus
from hone.objectives.gspo import Gspo as Gspo
from hone.objectives.gspo import gspo as gspo
from hone.objectives.kl import KlLoss as KlLoss
from hone.objectives.kl import KlReward as KlReward
from hone.objectives.kl import kl_k1 as kl_k1
from hone.objectives.kl import kl_k2 as kl_k2
from hone.objectives.kl import kl_k3 as kl_k3
from hone.objectives.policy_gradient import PolicyGradient as PolicyGradient
from hone.objectives.policy_gradient import policy_gradient as policy_gradient
from hone.objectives.ppo_clip import PpoClip as PpoClip
from hone.objectives.ppo_clip import ppo_clip as ppo_clip
from hone.objectives.reductions import bind as bind
from hone.objectives.reductions import problem_mean as problem_mean
from hone.objectives.reductions import problem_sum as problem_sum
from hone.objectives.reductions import problem_token_mean as problem_token_mean
from hone.objectives.reductions import sequence_mean as sequence_mean
from hone.objectives.reductions import sequence_sum as sequence_sum
from hone.objectives.reductions import token_mean as token_mean
from hone.objectives.soft_target import SoftTarget as SoftTarget
from hone.objectives.soft_target import soft_target as soft_target
from hone.objectives.supervised import Supervised as Supervised
from hone.objectives.supervised import supervised as supervised

__all__ = [
    "Cispo",
    "Correction",
    "EntropyBonus",
    "Gspo",
    "KlLoss",
    "KlReward",
    "PolicyGradient",
    "PpoClip",
    "SoftTarget",
    "Supervised",
    "bind",
    "cispo",
    "entropy_bonus",
    "gspo",
    "importance_weights",
    "kl_k1",
    "kl_k2",
    "kl_k3",
    "mismatch",
    "policy_gradient",
    "ppo_clip",
    "problem_mean",
    "problem_sum",
    "problem_token_mean",
    "sequence_mean",
    "sequence_sum",
    "soft_target",
    "supervised",
    "token_mean",
]
