"""What sampled rollouts are charged to the ledger, and what a unit of each count costs with a run's model."""

from __future__ import annotations

from collections.abc import Sequence

from hone.compute.cost import Decoder, Reading, sampling_reading
from hone.compute.ledger import Ledger
from hone.compute.memory import OPTIMIZER_BYTES, MemoryPlan, activation_bytes
from hone.compute.spending import Costs
from hone.core.errors import PolicyError
from hone.core.trajectory import Segment, Trajectory
from hone.policies.token_policy import TokenPolicy
from hone.training.planning import shape_of


def charge_step(ledger: Ledger, trajectories: Sequence[Trajectory], sampled: bool) -> None:
    """Charge the rollouts of a step. Of demonstrations, nothing was `sampled`."""
    prompts = {t.segments[0]: len(t.segments[0].tokens) for t in trajectories}
    needed = sum(len(t.segments[0].tokens) for t in trajectories)
    computed = sum(prompts.values())
    ledger.add(rollouts=len(trajectories), prompt_tokens=computed, shared_prompt_tokens=needed - computed)
    if sampled:
        read = reading(trajectories)
        ledger.add(
            sampled_tokens=read.predictions,
            sampled_pairs=read.pairs,
            sampling_passes=read.passes,
            cache_reads=read.cache,
        )


def charge_evaluation(ledger: Ledger, trajectories: Sequence[Trajectory]) -> None:
    """Charge the rollouts of an evaluation."""
    read = reading(trajectories)
    ledger.add(
        eval_rollouts=len(trajectories),
        eval_prompt_tokens=sum(len(s.tokens) for s in {t.segments[0] for t in trajectories}),
        eval_tokens=read.predictions,
        eval_pairs=read.pairs,
    )


def reading(trajectories: Sequence[Trajectory]) -> Reading:
    """The least that sampling `trajectories` took.

    A path that several segments continue is computed once for all of them.
    """
    below: dict[Segment, list[int]] = {}
    ends = [leaf for t in trajectories for leaf in (t.leaf, *t.aside)]
    for segment in dict.fromkeys(s for leaf in ends for s in leaf.path()):
        if segment.kind == "action" and segment.parent is not None:
            below.setdefault(segment.parent, []).append(len(segment.tokens))
    paths = [sum(len(s.tokens) for s in parent.path()) for parent in below]
    return sampling_reading(paths, list(below.values()))


def costs_of(policy: TokenPolicy, plan: MemoryPlan) -> Costs | None:
    """What the counts of a run come to; None for an architecture whose costs are not known."""
    try:
        decoder = Decoder.of(policy.model.config.get_text_config())
    except PolicyError:
        return None
    shape = shape_of(policy)
    return Costs(
        decoder=decoder,
        parameters=shape.parameters,
        weight_bytes=shape.weight_bytes,
        cache_bytes=shape.compute_bytes,
        moment_bytes=OPTIMIZER_BYTES,
        activation_bytes=activation_bytes(shape, plan.recompute),
        recomputed=plan.recompute,
    )
