"""Scoring passes without gradient: old logprobs, reference logprobs, values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hone.compute.ledger import Ledger
from hone.core.forest import pack
from hone.core.trajectory import Trajectory
from hone.kernels.shortage import out_of_memory
from hone.policies.token_policy import Scores, TokenPolicy
from hone.training.budget import Shortage, TokenBudget, shortage
from hone.training.microbatch import microbatches
from hone.training.stopping import Check, go_on

# Of each rollout: logprobs, values, logprobs of all actions.
Parts = dict[int, tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]]


@torch.no_grad()
def score(
    policy: TokenPolicy,
    trajectories: Sequence[Trajectory],
    temperature: float,
    budget: TokenBudget,
    ledger: Ledger,
    *,
    values: bool = False,
    check: Check = go_on,
) -> Scores:
    """Logprobs `[T]` (values `[T]`, and those of all actions `[T, A]` under an action space) of all action tokens, in
    the order of `trajectories`, on the CPU.

    Where memory runs out, the budget is halved and what is not scored yet is cut anew. Raises PolicyError if one
    rollout alone does not fit. `check` is called before every pass.
    """
    parts: Parts = {}
    while found := _score_rest(
        policy, trajectories, temperature, budget.tokens, ledger, values, parts, check
    ):
        ledger.add(lost_tokens=found.tokens)
        budget.halve(found)
    ordered = [parts[i] for i in range(len(trajectories))]
    return Scores(
        logprobs=torch.cat([p[0] for p in ordered]),
        values=torch.cat([p[1] for p in ordered if p[1] is not None]) if values else None,
        action_logprobs=torch.cat([p[2] for p in ordered if p[2] is not None]) if policy.support else None,
    )


def _score_rest(
    policy: TokenPolicy,
    trajectories: Sequence[Trajectory],
    temperature: float,
    max_tokens: int,
    ledger: Ledger,
    values: bool,
    parts: Parts,
    check: Check,
) -> Shortage | None:
    """Add what `parts` lacks, pass after pass; returns the pass that memory did not suffice for, if there is one."""
    left = [i for i in range(len(trajectories)) if i not in parts]
    rest = [trajectories[i] for i in left]
    cuts = list(microbatches(rest, [t.labels.get("group", 0) for t in rest], max_tokens))
    passes = [[rest[i] for i in cut] for cut in cuts]
    for number, (cut, chosen) in enumerate(zip(cuts, passes)):
        check()
        forest = pack(chosen)
        try:
            scores = policy.score(forest, temperature, values=values)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return shortage("scoring", error, passes, number)
        lengths = [t.num_actions for t in chosen]
        logprobs = scores.logprobs.cpu().split(lengths)
        more = [
            of.cpu().split(lengths) if of is not None else [None] * len(cut)
            for of in (scores.values, scores.action_logprobs)
        ]
        parts.update(zip((left[i] for i in cut), zip(logprobs, *more)))
        ledger.add(
            scored_tokens=forest.num_stored,
            scored_predictions=len(forest.action_index),
            scored_pairs=forest.pairs,
        )
    return None
