"""Reductions: which weight each token's term has in the loss, with its denominator by name.

Every reduction returns weights `w[T]` with loss = sum_t w_t term_t. Arguments: `rollout_of[T]` indexes the
arrays `lengths[R]` (action tokens), `groups[R]` (problem ids) and `kept[R]`, which may be those of the whole
update or of one micro-batch; `counts` are always of the whole update (`hone.core.counting.count`), so the
losses of micro-batches add up to the loss of the update, however it is split. Tokens of rollouts that are not
kept have weight 0. Weights are float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hone.core.counting import Counts
from hone.core.errors import RecipeError, nearest
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import broadcast

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def token_mean(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
) -> Float[torch.Tensor, "tokens"]:
    """1 / tokens: every token of the update weighs the same. TRL `dapo` (and `bnpo`, per micro-batch); verl
    `token-mean`."""
    return _weights(torch.full_like(lengths, counts.tokens), kept, rollout_of)


def sequence_mean(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
) -> Float[torch.Tensor, "tokens"]:
    """1 / (rollouts * length): mean over rollouts of the mean over tokens. TRL `grpo`; verl
    `seq-mean-token-mean`."""
    return _weights(counts.rollouts * lengths, kept, rollout_of)


def sequence_sum(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
    *,
    length: float,
) -> Float[torch.Tensor, "tokens"]:
    """1 / (rollouts * `length`), `length` a constant: mean over rollouts of the sum over tokens, over a
    constant.

    The reduction under which outcome credit is the gradient of its objective: a rollout's log-probability is
    the sum over its tokens. TRL `dr_grpo` (length = max_completion_length), `luspo` (length = 1); verl
    `seq-mean-token-sum-norm` (length = `loss_scale_factor`), `seq-mean-token-sum` (length = 1).
    """
    return _weights(torch.full_like(lengths, counts.rollouts), kept, rollout_of) / length


def problem_sum(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
    *,
    length: float,
) -> Float[torch.Tensor, "tokens"]:
    """Mean over problems of the mean over their rollouts of the sum over tokens, over a constant `length`.

    `sequence_sum` where all groups are of one size, and like it the reduction under which outcome credit is the
    gradient of its objective; here every problem counts once, whatever the size of its group.
    """
    siblings = _per_rollout(counts.rollouts_of, groups, counts)
    return _weights(counts.problems * siblings, kept, rollout_of) / length


def problem_mean(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
) -> Float[torch.Tensor, "tokens"]:
    """Mean over problems of the mean over their rollouts of the mean over tokens.

    `sequence_mean` where all groups are of one size. GRPO as the paper writes it for groups of any size;
    neither TRL nor verl has a name for it.
    """
    siblings = _per_rollout(counts.rollouts_of, groups, counts)
    return _weights(counts.problems * siblings * lengths, kept, rollout_of)


def problem_token_mean(
    rollout_of: Int[torch.Tensor, "tokens"],
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    counts: Counts,
) -> Float[torch.Tensor, "tokens"]:
    """Mean over problems of the mean over all tokens of the problem's rollouts.

    ScaleRL's prompt average (arXiv 2510.13786); DAPO (arXiv 2503.14476) as the paper writes it. TRL and verl
    average over the tokens of the batch instead (`token_mean`).
    """
    return _weights(counts.problems * _per_rollout(counts.tokens_of, groups, counts), kept, rollout_of)


def _per_rollout(
    of_problem: Int[torch.Tensor, "problems"], groups: Int[torch.Tensor, "rollouts"], counts: Counts
) -> Int[torch.Tensor, "rollouts"]:
    """A count of each rollout's problem. Rollouts of problems without kept rollouts get a meaningless one."""
    if counts.problems == 0:
        return torch.ones_like(groups)
    return of_problem[counts.problem_index(groups)]


def _weights(
    denominators: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
    rollout_of: Int[torch.Tensor, "tokens"],
) -> Float[torch.Tensor, "tokens"]:
    """1 / denominator on the tokens of kept rollouts, 0 elsewhere."""
    weight = 1 / denominators.clamp(min=1).to(torch.float64)
    return broadcast(torch.where(kept, weight, torch.zeros_like(weight)), rollout_of)


_REDUCTIONS = {
    "token_mean": token_mean,
    "sequence_mean": sequence_mean,
    "problem_mean": problem_mean,
    "problem_token_mean": problem_token_mean,
}
_SUMS: dict[str, Callable[..., Any]] = {"sequence_sum": sequence_sum, "problem_sum": problem_sum}


def bind(name: str, *, length: float) -> Callable[..., Float[torch.Tensor, "tokens"]]:
    """The reduction of that name, taking `(rollout_of, lengths, groups, kept, counts)`.

    `length` is the constant of `sequence_sum` and `problem_sum`, normally max_completion_length, and read by no other.
    """
    require("length", length, length > 0, "a positive number")
    if name in _SUMS:
        return partial(_SUMS[name], length=length)
    if name not in _REDUCTIONS:
        raise RecipeError(f"`reduction` is {name!r}.", nearest(name, [*_REDUCTIONS, *_SUMS]))
    return _REDUCTIONS[name]
