"""Credit: which decisions earned the reward.

Outcome pieces are functions `f(values[U], groups[U], **options) -> advantages[U]` with a frozen dataclass of
their options; `gae` is the token form. Callers pass only units whose verdict is ok.
"""

from hone.credit.chain import Chain as Chain
from hone.credit.gae import Gae as Gae
from hone.credit.gae import gae as gae
from hone.credit.grpo import Grpo as Grpo
from hone.credit.grpo import grpo as grpo
from hone.credit.maxrl import Maxrl as Maxrl
from hone.credit.maxrl import maxrl as maxrl
from hone.credit.pass_at_k import PassAtK as PassAtK
from hone.credit.pass_at_k import pass_at_k as pass_at_k
from hone.credit.reinforce import Reinforce as Reinforce
from hone.credit.reinforce import reinforce as reinforce
from hone.credit.rloo import Rloo as Rloo
from hone.credit.rloo import rloo as rloo
from hone.credit.rwr import Rwr as Rwr
from hone.credit.rwr import rwr as rwr
from hone.credit.shape import Centre as Centre
from hone.credit.shape import Clip as Clip
from hone.credit.shape import Scale as Scale
from hone.credit.shape import centre as centre
from hone.credit.shape import clip as clip
from hone.credit.shape import scale as scale
from hone.credit.stopped_rloo import StoppedRloo as StoppedRloo
from hone.credit.stopped_rloo import stopped_rloo as stopped_rloo

__all__ = [
    "Centre",
    "Chain",
    "Clip",
    "Gae",
    "Grpo",
    "Maxrl",
    "PassAtK",
    "Reinforce",
    "Rloo",
    "Rwr",
    "Scale",
    "StoppedRloo",
    "centre",
    "clip",
    "gae",
    "grpo",
    "maxrl",
    "pass_at_k",
    "reinforce",
    "rloo",
    "rwr",
    "scale",
    "stopped_rloo",
]
