"""PPO's clipped ratio, with different limits up and down and a second limit for negative advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def ppo_clip(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"],
    advantages: Float[torch.Tensor, "tokens"],
    *,
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    dual_clip: float | None = None,
) -> Float[torch.Tensor, "tokens"]:
    """-min(rho A, clip(rho, 1 - epsilon, 1 + epsilon_high) A) with rho = pi / pi_old of the token, to be
    minimised.

    `epsilon_high` is `epsilon` unless given (DAPO's clip-higher: 0.28). `dual_clip` c > 1: where A < 0 the
    term is at most -c A, so that a token that has become much more likely does not dominate.
    Source: Schulman et al. 2017 (arXiv 1707.06347); Ye et al. 2020 (arXiv 1912.09729) for the dual clip; Yu
    et al. 2025 (arXiv 2503.14476) for the asymmetry. TRL `epsilon`, `epsilon_high`, `delta`; verl
    `clip_ratio_low`, `clip_ratio_high`, `clip_ratio_c`.
    """
    low, high = _limits(epsilon, epsilon_high, dual_clip)
    ratio = torch.exp(logprobs - old_logprobs)
    gain = torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
    if dual_clip is not None:
        gain = torch.where(advantages < 0, torch.maximum(gain, dual_clip * advantages), gain)
    return -gain


def _limits(epsilon: float, epsilon_high: float | None, dual_clip: float | None) -> tuple[float, float]:
    """Lowest and highest ratio, after checking the options."""
    up = epsilon if epsilon_high is None else epsilon_high
    require("epsilon", epsilon, 0 <= epsilon <= 1, "in [0, 1]")
    require("epsilon_high", epsilon_high, up >= 0, "None or 0 or more")
    require("dual_clip", dual_clip, dual_clip is None or dual_clip > 1 + up, f"None or above {1 + up:g}")
    return 1 - epsilon, 1 + up


@dataclass(frozen=True)
class PpoClip:
    """Configuration of `ppo_clip`."""

    epsilon: float = 0.2
    epsilon_high: float | None = None
    dual_clip: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "old_logprobs"})
    couples: ClassVar[Literal["token", "sequence"]] = "token"
    surrogate: ClassVar[bool] = True
    limits: ClassVar[tuple[str, ...]] = (
        "epsilon",
        "epsilon_high",
        "dual_clip",
    )  # from a second update on

    def __post_init__(self) -> None:
        _limits(self.epsilon, self.epsilon_high, self.dual_clip)

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return ppo_clip(
            logprobs,
            old_logprobs,
            advantages,
            epsilon=self.epsilon,
            epsilon_high=self.epsilon_high,
            dual_clip=self.dual_clip,
        )

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Tokens whose term has no gradient because a limit was passed."""
        low, high = _limits(self.epsilon, self.epsilon_high, self.dual_clip)
        ratio = torch.exp(logprobs - old_logprobs)
        out = ((advantages > 0) & (ratio > high)) | ((advantages < 0) & (ratio < low))
        if self.dual_clip is not None:
            out = out | ((advantages < 0) & (ratio > self.dual_clip))
        return out

    def formula(self) -> str:
        """The loss term in plain text."""
        low, high = _limits(self.epsilon, self.epsilon_high, self.dual_clip)
        text = f"−min(ρ_t A_t, clip(ρ_t, {low:g}, {high:g}) A_t), ρ_t = π(t)/π_old(t)"
        return text if self.dual_clip is None else f"{text}; at most −{self.dual_clip:g} A_t where A_t < 0"

    __repr__ = formula
