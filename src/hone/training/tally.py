"""What the updates of a batch were like: sums that stay on the device until an update is over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hone.core.batch import Batch
from hone.core.method import Method
from hone.policies.token_policy import Scores
from hone.training.guards.readings import Readings


@dataclass
class Tally:
    """Sums over the trained tokens of a batch, from which the step's metrics are made.

    They hold what has been closed: reading a number makes the host wait for the device, so each update reads once.
    """

    losses: dict[str, float] = field(default_factory=dict)
    tokens: int = 0
    entropy: float = 0.0
    clipped: int = 0
    k1: float = 0.0
    k3: float = 0.0
    mismatch_k3: float = 0.0
    mismatch_max: float = 0.0
    first_pass_tokens: int = 0
    reference_k3: float | None = None  # None without a reference
    grad_norms: list[float] = field(default_factory=list)
    _open: list[tuple[str, Tensor]] = field(default_factory=list, repr=False)  # observed and not yet read
    _open_first: int = 0  # first-pass tokens among them

    def observe(
        self, method: Method, scores: Scores, batch: Batch, losses: Mapping[str, Tensor], first_pass: bool
    ) -> None:
        """Add the statistics of one micro-batch and its loss components, without waiting for them."""
        now = scores.logprobs.detach()
        old = now if batch.old_logprobs is None else batch.old_logprobs.to(now.device)
        assert batch.advantages is not None and scores.entropy is not None
        advantages, rollouts = batch.advantages.to(now.device), batch.rollout_of.to(now.device)
        self.tokens += len(now)
        found = {
            "entropy": scores.entropy.detach().sum(),
            "clipped": method.objective.clipped(now, old, advantages, rollouts).sum(),
            "k1": (old - now).sum(),
            "k3": _k3(now - old),
        }
        if batch.reference_logprobs is not None:
            found["reference_k3"] = _k3(batch.reference_logprobs.to(now.device) - now)
        if first_pass and method.episode.samples:  # demonstrations have no sampler's logprobs
            gap = old - batch.behaviour_logprobs.to(now.device)
            self._open_first += len(now)
            found["mismatch_k3"] = _k3(gap)
            if len(gap):
                found["mismatch_max"] = gap.abs().max()
        self._open += [*found.items(), *((f"loss/{name}", value.detach()) for name, value in losses.items())]

    def close(self, grad_norm: Tensor) -> Readings:
        """Read everything observed since the last update, and the norm of its gradient; returns what guards read."""
        names = [name for name, _ in self._open]
        values = torch.stack([v.double() for _, v in self._open] + [grad_norm.detach().double()]).tolist()
        first, self._open_first = self._open_first, 0
        self._open.clear()
        self.grad_norms.append(values[-1])
        self.first_pass_tokens += first
        for name, value in zip(names, values):
            self._add(name, value)
        gaps = [value for name, value in zip(names, values) if name == "mismatch_k3"]
        largest = [value for name, value in zip(names, values) if name == "mismatch_max"]
        return Readings(
            finite=all(map(math.isfinite, values)),
            grad_norm=values[-1],
            mismatch_k3=sum(gaps) / first if first else None,
            mismatch_max=max(largest) if largest else None,
        )

    def _add(self, name: str, value: float) -> None:
        if name.startswith("loss/"):
            key = name.removeprefix("loss/")
            self.losses[key] = self.losses.get(key, 0.0) + value
        elif name == "mismatch_max":
            self.mismatch_max = max(self.mismatch_max, value)
        elif name == "clipped":
            self.clipped += int(value)
        else:
            setattr(self, name, (getattr(self, name) or 0.0) + value)


def _k3(log_ratio: Tensor) -> Tensor:
    """Sum of the k3 estimate exp(d) - 1 - d, in float64 because its terms nearly cancel."""
    d = log_ratio.double()
    return (torch.expm1(d) - d).sum()
