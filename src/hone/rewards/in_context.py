"""Retrospective in-context learning: the advantage of every action, read off a policy before and after feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Float

FLOOR = 1e-6  # a probability below it is taken for it: the logarithm of nothing is no evidence
LIMIT = 10.0  # nats that one piece of feedback may move an action


def log_ratios(
    before: Float[torch.Tensor, "decisions actions"],
    after: Float[torch.Tensor, "feedbacks decisions actions"],
) -> Float[torch.Tensor, "decisions actions"]:
    """Mean over feedbacks of log π'(a|s, f) / π(a|s), from logprobs; probabilities are floored, ratios limited.

    Without feedback (none at all) it is zero.
    """
    if len(after) == 0:
        return torch.zeros_like(before)
    least = torch.log(torch.tensor(FLOOR, dtype=before.dtype))
    ratios = after.clamp(min=float(least)) - before.clamp(min=float(least))
    return ratios.clamp(-LIMIT, LIMIT).mean(0)


def centred_advantage(
    before: Float[torch.Tensor, "decisions actions"],
    after: Float[torch.Tensor, "feedbacks decisions actions"],
    beta: float = 1.0,
) -> tuple[Float[torch.Tensor, "decisions actions"], Float[torch.Tensor, "decisions"]]:
    """A = β (log ratio − E_π log ratio), averaged over feedbacks, and log Z = KL(π ‖ π') = −E_π log ratio.

    Were π' the improvement π exp(A/β)/Z of some advantage with E_π A = 0, this is that advantage, exactly: the ratio
    alone leaves log Z open, and the mean of A under π closes it. `before` are logprobs of π, `after` of π' under each
    feedback. β is a scale, to be fitted where advantages are compared.
    Source: arXiv 2602.17497, theorem 4.1; the centred form is derived.
    """
    ratios = log_ratios(before, after)
    log_z = -(before.exp() * ratios).sum(-1)
    return beta * (ratios + log_z[..., None]), log_z


def soft_targets(
    before: Float[torch.Tensor, "decisions actions"],
    after: Float[torch.Tensor, "feedbacks decisions actions"],
    alpha: float,
) -> Float[torch.Tensor, "decisions actions"]:
    """π_target ∝ π^{1−α} π'^α: softmax of log π + α · log ratio, for the trust region 0 ≤ α ≤ 1.

    With several feedbacks π' is their geometric mean. It is π exp(α A / β) / Z_α: advantage-weighted regression at
    temperature β/α, over all actions. α = 0 is the policy itself. Source: arXiv 2602.17497, the update of RICOL.
    """
    return torch.softmax(before + alpha * log_ratios(before, after), -1)
