"""Distance to a reference policy: three estimators of the KL divergence, in the loss or in the reward.

With d = log pi - log ref of a token drawn from pi: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d. The
expectations of k1 and k3 are the reverse KL(pi || ref) of the token's distribution, that of k2 only to second
order. What a policy follows, however, is the gradient, and there the roles change (each is checked by
enumeration):

- in the loss, differentiated at the visited states: k1 has expected gradient zero; k2 has the gradient of the
  reverse KL; k3 has the gradient of the forward KL(ref || pi).
- in the reward (detached, then credited to the decisions before it): k1 gives the gradient of the reverse KL
  between whole answers; the others do not.

Names: Schulman 2020, "Approximating KL divergence".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.errors import RecipeError
from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.packed import broadcast, compact, segment_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_LEVELS = ("token", "sequence")


def kl_k1(
    logprobs: Float[torch.Tensor, "tokens"], reference_logprobs: Float[torch.Tensor, "tokens"]
) -> Float[torch.Tensor, "tokens"]:
    """log pi - log ref: unbiased for the reverse KL, of either sign. verl `kl`."""
    return logprobs - reference_logprobs


def kl_k2(
    logprobs: Float[torch.Tensor, "tokens"], reference_logprobs: Float[torch.Tensor, "tokens"]
) -> Float[torch.Tensor, "tokens"]:
    """(log pi - log ref)^2 / 2: biased as an estimate, exact as a gradient. verl `mse`."""
    return 0.5 * (logprobs - reference_logprobs) ** 2


def kl_k3(
    logprobs: Float[torch.Tensor, "tokens"], reference_logprobs: Float[torch.Tensor, "tokens"]
) -> Float[torch.Tensor, "tokens"]:
    """ref/pi - 1 - log(ref/pi): unbiased for the reverse KL and never negative. verl `low_var_kl`, TRL's
    `beta` term."""
    log_ratio = reference_logprobs - logprobs
    return torch.exp(log_ratio) - 1 - log_ratio


@dataclass(frozen=True)
class KlLoss:
    """beta times an estimate of the divergence from the reference, as a component of the loss; on-policy
    batches.

    `estimator` `k2` has the expected gradient of the reverse KL. `k3` is GRPO's term, with the gradient of
    the forward KL. `k1` is refused. `level` `token` differentiates each token's KL at the states that were
    visited, as everywhere in the field. It leaves out that the policy also decides which states are visited;
    for the exact gradient of the KL between whole answers, `sequence` (with `k2` only) squares the answer's
    sum of d. Each token then carries its rollout's term, and reduction `sequence_mean` averages them over
    rollouts; its variance grows with length.
    """

    beta: float
    estimator: Literal["k1", "k2", "k3"] = "k2"
    level: Literal["token", "sequence"] = "token"

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "reference_logprobs"})

    def __post_init__(self) -> None:
        require("beta", self.beta, 0 <= self.beta < float("inf"), "0 or more, and finite")
        require_choice("estimator", self.estimator, ("k1", "k2", "k3"))
        require_choice("level", self.level, _LEVELS)
        if self.estimator == "k1":
            raise RecipeError(
                "`estimator` is 'k1' for a KL in the loss: the gradient of log π − log ref is the score, whose "
                "expectation is zero, so the term would add noise and no pull towards the reference.",
                "Use k2 (the reverse-KL gradient) or k3 (GRPO's), or put k1 in the reward.",
            )
        if self.level == "sequence" and self.estimator != "k2":
            raise RecipeError(f"`level` is 'sequence' with estimator {self.estimator!r}.", "Use k2 with it.")

    @property
    def couples(self) -> Literal["token", "sequence"]:
        """What must stay in one micro-batch."""
        return self.level

    @property
    def surrogate(self) -> bool:
        """Token-level terms leave out the effect on which states are visited."""
        return self.level == "token"

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        reference_logprobs: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"] | None = None,
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised. `rollouts` are any ids, needed at level `sequence` only."""
        if self.level == "sequence":
            if rollouts is None:
                raise ValueError("a sequence-level KL needs to know which rollout each token belongs to")
            index, count = compact(rollouts)
            distance = segment_sum(kl_k1(logprobs, reference_logprobs), index, count)
            return self.beta * broadcast(0.5 * distance**2, index)
        estimate = kl_k2 if self.estimator == "k2" else kl_k3
        return self.beta * estimate(logprobs, reference_logprobs)

    def formula(self) -> str:
        """The loss term in plain text."""
        if self.level == "sequence":
            return f"{self.beta:g} (Σ_t d_t)²/2, d = log π − log ref"
        form = "d_t²/2" if self.estimator == "k2" else "(exp(−d_t) − 1 + d_t)"
        return f"{self.beta:g} {form}, d = log π − log ref"

    __repr__ = formula


@dataclass(frozen=True)
class KlReward:
    """-beta times an estimate of the divergence, added to the reward of every token and never differentiated.

    With `k1`, crediting every decision with the sum of the penalties that follow it (or of the whole answer)
    ascends minus beta times the reverse KL between whole answers, exactly. TRL `RLOOConfig.beta`; verl
    `use_kl_in_reward`, `kl_penalty`.
    """

    beta: float
    estimator: Literal["k1", "k2", "k3"] = "k1"

    needs: ClassVar[frozenset[str]] = frozenset({"old_logprobs", "reference_logprobs"})

    def __post_init__(self) -> None:
        require("beta", self.beta, 0 <= self.beta < float("inf"), "0 or more, and finite")
        require_choice("estimator", self.estimator, ("k1", "k2", "k3"))

    @property
    def surrogate(self) -> bool:
        """Only k1 is the reverse KL when rewarded."""
        return self.estimator != "k1"

    def __call__(
        self, logprobs: Float[torch.Tensor, "tokens"], reference_logprobs: Float[torch.Tensor, "tokens"]
    ) -> Float[torch.Tensor, "tokens"]:
        """Token rewards to be added; `logprobs` are those of the policy that is trained, at sampling time."""
        estimate = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}[self.estimator]
        return -self.beta * estimate(logprobs.detach(), reference_logprobs.detach())

    def formula(self) -> str:
        """The reward in plain text."""
        form = {"k1": "d_t", "k2": "d_t²/2", "k3": "(exp(−d_t) − 1 + d_t)"}[self.estimator]
        return f"r_t − {self.beta:g} {form}, d = log π − log ref"

    __repr__ = formula
