"""The ledger: where the compute of a run went, counted as it is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass
class Ledger:
    """Cumulative counts of a run. Tokens are the unit of cost; `shared` ones were needed but not computed again.

    Pairs are tokens that attention had to read, for all tokens in all; predictions are tokens whose logits were wanted.
    What they come to in operations and bytes is `hone.compute.spending`'s to say.
    """

    rollouts: int = 0
    prompt_tokens: int = 0  # prompts of the sampled rollouts, each distinct prompt once
    shared_prompt_tokens: int = 0  # prompt tokens that sharing saved in sampling
    sampled_tokens: int = 0
    sampled_pairs: int = 0
    sampling_passes: int = 0  # that read all weights: one for each token of a step's longest rollout
    cache_reads: int = 0  # tokens whose keys and values were read, a shared prefix once for its group
    trained_tokens: int = 0  # tokens in training forward and backward passes, prompts included
    trained_predictions: int = 0
    trained_pairs: int = 0
    training_passes: int = 0  # micro-batches
    shared_trained_tokens: int = 0  # tokens that sharing saved in training
    scored_tokens: int = 0  # tokens in passes without gradient
    scored_predictions: int = 0
    scored_pairs: int = 0
    lost_tokens: int = 0  # tokens in passes that were thrown away because memory ran out
    eval_tokens: int = 0  # sampled for evaluation
    eval_rollouts: int = 0
    eval_prompt_tokens: int = 0
    eval_pairs: int = 0
    updates: int = 0  # optimizer steps
    redone_rollouts: int = (
        0  # sampled, lost because the run was stopped before a checkpoint, and sampled again
    )
    redone_tokens: int = 0  # of those rollouts, and of evaluations that were lost with them
    redone_seconds: float = 0.0  # that the lost steps and evaluations took

    def add(self, **counts: int) -> None:
        """Charge counts by name."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + int(count))

    def merge(self, other: Ledger) -> None:
        """Charge everything that `other` counted."""
        for name, count in other.state().items():
            setattr(self, name, getattr(self, name) + count)

    def state(self) -> dict[str, int | float]:
        """JSON values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, int | float]) -> Ledger:
        """The ledger of a checkpoint; keys it does not know are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in state.items() if k in known})  # type: ignore[arg-type]
