"""A step's line of metrics.jsonl, from its batch and its updates."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hone.compute.ledger import Ledger
from hone.core.batch import Batch
from hone.core.packed import compact, segment_max, segment_mean, segment_min, segment_size
from hone.core.units import units
from hone.training.tally import Tally

Line = dict[str, float | int | list[int] | None]
STATUSES = ("ok", "error", "timeout", "not_applicable")


def step_metrics(
    step: int, batch: Batch, tally: Tally, ledger: Ledger, learning_rate: float, seconds: Mapping[str, float]
) -> Line:
    """One JSON line. Shares are in [0, 1], entropy and KL in nats a token; None where there is nothing to average.

    Entropy, clip share, KL and mismatch are over the tokens that were trained on.
    """
    line: Line = {"step": step}
    state = ledger.state()
    names = ("rollouts", "sampled_tokens", "prompt_tokens", "shared_prompt_tokens", "trained_tokens")
    line |= {name: state[name] for name in (*names, "shared_trained_tokens", "scored_tokens", "updates")}
    whole = _attempts(batch)
    line |= _rewards(whole) | _groups(whole)
    lengths = batch.lengths.double()
    line |= {
        "length/mean": float(lengths.mean()),
        "length/max": int(batch.lengths.max()),
        "truncated": float(batch.truncated.double().mean()),
    }
    line |= _updates(tally)
    line["learning_rate"] = learning_rate
    line |= batch.readings
    return line | {f"time/{name}": round(value, 4) for name, value in seconds.items()}


def _attempts(batch: Batch) -> Batch:
    """One rollout of every attempt: else an attempt of many decisions would count more than one of few."""
    first = units(batch).first
    return batch if len(first) == len(batch.lengths) else batch.select(first.tolist())


def _rewards(batch: Batch) -> Line:
    verdicts = [t.verdict for t in batch.trajectories if t.verdict is not None]
    line: Line = {f"status/{status}": sum(v.status == status for v in verdicts) for status in STATUSES}
    if not verdicts:
        return {}
    rewards = batch.rewards[batch.ok]
    some = len(rewards) > 0
    line["reward/mean"] = float(rewards.mean()) if some else None
    line["reward/std"] = float(rewards.std(correction=0)) if some else None
    line["pass_rate"] = float((rewards >= 1).double().mean()) if some else None
    parts: dict[str, list[float]] = {}
    for verdict in verdicts:
        for name, value in verdict.parts.items():
            parts.setdefault(name, []).append(value)
    line |= {f"reward/{name}": sum(values) / len(values) for name, values in sorted(parts.items())}
    return line


def _groups(batch: Batch) -> Line:
    """Shares of groups that are all wrong, all right, without signal, or too small for a baseline.

    `groups/correct` of `groups/judged` rollouts were right, group by group: the pass rates before the step's updates.
    """
    index, count = compact(batch.groups)
    line: Line = {"groups": count}
    if not any(t.verdict is not None for t in batch.trajectories):
        return line
    ok, rewards = index[batch.ok], batch.rewards[batch.ok]
    low, high = segment_min(rewards, ok, count), segment_max(rewards, ok, count)
    size = segment_size(ok, count)
    some = size > 0
    shares = {
        "all_zero": some & (high <= 0),
        "all_one": some & (low >= 1),
        "no_signal": ~some | (low >= high),
        "too_few": size < 2,
    }
    line |= {f"groups/{name}": float(mask.double().mean()) for name, mask in shares.items()}
    right = segment_size(ok[rewards >= 1], count)
    line |= {"groups/correct": right.tolist(), "groups/judged": size.tolist()}
    return line | _signal(batch, ok, rewards, count, shares["no_signal"])


def _signal(batch: Batch, ok: Tensor, rewards: Tensor, count: int, without: Tensor) -> Line:
    """What the step's tokens bought: the share of groups with signal, and their signal for each sampled token.

    The signal of a group is Σ_i (r_i − mean r)²: its expectation is (N − 1) p (1 − p), what N rollouts can tell of the
    direction from wrong answers to right ones. It reads rewards alone, so that it compares curricula under any credit
    piece: one that scales advantages would call every mixed group alike.
    """
    centred = rewards - segment_mean(rewards, ok, count)[ok]
    tokens = int(batch.lengths.sum())
    return {
        "signal/groups": 1 - float(without.double().mean()),
        "signal/per_token": float((centred**2).sum()) / tokens if tokens else None,
    }


def _updates(tally: Tally) -> Line:
    line: Line = {"updates_skipped": int(not tally.grad_norms)}
    tokens = tally.tokens
    per_token = {"entropy": tally.entropy, "clip_share": tally.clipped, "kl/k1": tally.k1, "kl/k3": tally.k3}
    line |= {name: total / tokens if tokens else None for name, total in per_token.items()}
    first = tally.first_pass_tokens
    line["mismatch/k3"] = tally.mismatch_k3 / first if first else None
    line["mismatch/max"] = tally.mismatch_max if first else None
    if tally.reference_k3 is not None:
        line["reference_kl/k3"] = tally.reference_k3 / tokens
    line["grad_norm"] = float(torch.tensor(tally.grad_norms).mean()) if tally.grad_norms else None
    return line | {f"loss/{name}": value for name, value in tally.losses.items()}
