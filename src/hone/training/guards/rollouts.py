"""The readings of a step's rollouts: numbers on the CPU that are known before anything is trained."""

from __future__ import annotations

import numpy as np
import torch

from hone.core.batch import Batch
from hone.core.packed import compact, segment_max, segment_mean, segment_min, segment_size
from hone.training.guards.readings import Readings


def rollout_readings(batch: Batch, tail: int) -> Readings:
    """What the rollout guards read of a judged batch that a policy sampled; `tail` is that of `repetition`."""
    rewards = batch.rewards[batch.ok]
    surprisal = -batch.behaviour_logprobs.double()
    return Readings(
        entropy=float(surprisal.mean()) if len(surprisal) else None,
        repetition=repeating(batch, tail),
        constant=constant_share(batch),
        truncated=float(batch.truncated.double().mean()),
        length=float(batch.lengths.double().mean()),
        reward=float(rewards.mean()) if len(rewards) else None,
        length_reward=length_reward(batch),
        mode_share=batch.readings.get("srt/mode_share"),
        information=batch.readings.get("srt/information"),
        majority=batch.readings.get("srt/majority_frequency"),
    )


def repeating(batch: Batch, tail: int) -> float:
    """Share of completions whose last `tail` tokens are one n-gram, four times or more."""
    lengths = batch.lengths.tolist()
    long = [t for t, length in zip(batch.trajectories, lengths) if length >= tail]
    if not long:
        return 0.0
    ends = np.stack(
        [np.concatenate([s.tokens for s in t.segments if s.kind == "action"])[-tail:] for t in long]
    )
    loops = np.zeros(len(ends), bool)
    for period in range(1, tail // 4 + 1):
        loops |= (ends[:, period:] == ends[:, :-period]).all(1)
    return float(loops.sum()) / len(lengths)


def constant_share(batch: Batch) -> float | None:
    """Share of the groups with two verdicts or more that got one reward; None if no two rewards can be compared.

    Where no group has two, all rewards of the batch are taken for one group.
    """
    rewards = batch.rewards[batch.ok]
    if len(rewards) < 2:
        return None
    groups, count = compact(batch.groups[batch.ok])
    if int(segment_size(groups, count).max()) < 2:
        groups, count = torch.zeros_like(groups), 1
    some = segment_size(groups, count) >= 2
    same = segment_min(rewards, groups, count) >= segment_max(rewards, groups, count)
    return float(same[some].double().mean())


def length_reward(batch: Batch) -> float | None:
    """Correlation of reward and length around the means of their groups; None where one of them does not vary."""
    groups, count = compact(batch.groups[batch.ok])
    if not count:
        return None
    parts = []
    for values in (batch.lengths[batch.ok].double(), batch.rewards[batch.ok].double()):
        parts.append(values - segment_mean(values, groups, count)[groups])
    length, reward = parts
    scale = float((length.square().sum() * reward.square().sum()).sqrt())
    return float((length * reward).sum()) / scale if scale > 1e-9 else None
