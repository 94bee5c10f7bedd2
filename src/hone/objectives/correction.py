"""Importance correction for a sampler whose probabilities differ from the trainer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.packed import broadcast, compact, segment_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_LEVELS = ("token", "sequence")
_MODES = ("truncate", "mask")


def importance_weights(
    old_logprobs: Float[torch.Tensor, "tokens"],
    behaviour_logprobs: Float[torch.Tensor, "tokens"],
    rollouts: Int[torch.Tensor, "tokens"],
    *,
    level: Literal["token", "sequence"] = "token",
    mode: Literal["truncate", "mask"] = "truncate",
    threshold: float = 2.0,
) -> Float[torch.Tensor, "tokens"]:
    """Detached weights for the policy terms: pi_trainer / pi_sampler, limited at `threshold`.

    `level` `token` takes each token's ratio; `sequence` the product over the rollout, on each of its tokens.
    Where a ratio exceeds the threshold, `truncate` (TIS) uses the threshold and `mask` (MIS) uses 0. Without
    a limit the sequence weight makes an expectation under the sampler one under the trainer, exactly; token
    weights do so for one-token answers only. `rollouts` are any ids.

    TRL `vllm_importance_sampling_correction` with `vllm_importance_sampling_mode` token_truncate, token_mask,
    sequence_truncate, sequence_mask and `vllm_importance_sampling_clip_max`; verl `rollout_is` token or
    sequence, `rollout_is_threshold` (truncation) and rejection sampling (masking).
    """
    _check(level, mode, threshold)
    log_ratio = (old_logprobs - behaviour_logprobs).detach()
    if level == "sequence":
        index, count = compact(rollouts)
        log_ratio = broadcast(segment_sum(log_ratio, index, count), index)
    ratio = torch.exp(log_ratio)
    if mode == "truncate":
        return ratio.clamp(max=threshold)
    return torch.where(ratio > threshold, torch.zeros_like(ratio), ratio)


def mismatch(
    old_logprobs: Float[torch.Tensor, "tokens"], behaviour_logprobs: Float[torch.Tensor, "tokens"]
) -> dict[str, float]:
    """How far the trainer's probabilities of the sampled tokens are from the sampler's, over all given
    tokens.

    `kl` is the k3 estimate of KL(sampler || trainer) a token, `max_abs_difference` of the logprobs,
    `mean_ratio` of pi_trainer / pi_sampler, which is 1 in expectation.
    """
    difference = (old_logprobs - behaviour_logprobs).detach().to(torch.float64)
    ratio = torch.exp(difference)
    return {
        "kl": float((ratio - 1 - difference).mean()),
        "max_abs_difference": float(difference.abs().max()),
        "mean_ratio": float(ratio.mean()),
    }


def _check(level: str, mode: str, threshold: float) -> None:
    require_choice("level", level, _LEVELS)
    require_choice("mode", mode, _MODES)
    require("threshold", threshold, threshold >= 1, "1 or more: a ratio of 1 is no mismatch")


@dataclass(frozen=True)
class Correction:
    """Configuration of `importance_weights`."""

    level: Literal["token", "sequence"] = "token"
    mode: Literal["truncate", "mask"] = "truncate"
    threshold: float = 2.0

    needs: ClassVar[frozenset[str]] = frozenset({"old_logprobs", "behaviour_logprobs"})

    def __post_init__(self) -> None:
        _check(self.level, self.mode, self.threshold)

    @property
    def couples(self) -> Literal["token", "sequence"]:
        """What must stay in one micro-batch."""
        return self.level

    def __call__(
        self,
        old_logprobs: Float[torch.Tensor, "tokens"],
        behaviour_logprobs: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Weights of the policy terms."""
        return importance_weights(
            old_logprobs,
            behaviour_logprobs,
            rollouts,
            level=self.level,
            mode=self.mode,
            threshold=self.threshold,
        )

    def formula(self) -> str:
        """The weight in plain text."""
        ratio = "Π_t π(t)/μ(t)" if self.level == "sequence" else "π(t)/μ(t)"
        if self.mode == "truncate":
            return f"w = min({ratio}, {self.threshold:g})"
        return f"w = {ratio} where ≤ {self.threshold:g}, else 0"

    __repr__ = formula
