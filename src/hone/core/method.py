"""A method: one choice for every stage, and the formula it amounts to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hone.core.stages import Curriculum, Episode, Objective, Reward, Selector
from hone.core.units import GroupBy


@dataclass(frozen=True)
class Method:
    """The resolved pieces of a run. `credit` is None where the objective needs no advantages."""

    name: str
    curriculum: Curriculum
    episode: Episode
    rewards: tuple[Reward, ...]
    selectors: tuple[Selector, ...]
    credit: Any  # outcome form: f(values[U], groups[U]); token form: see `credit.gae`
    objective: Objective
    reduction: str
    reduce: Callable[..., Any]  # (rollout_of, lengths, groups, kept, counts) -> weights[T]
    correction: Any = None
    kl_loss: Any = None
    kl_reward: Any = None
    entropy: Any = None
    value_coef: float | None = None  # None: no value head is trained
    group_by: GroupBy = "variant"  # which units of credit are compared

    @property
    def evaluation(self) -> Episode | None:
        """How a policy is evaluated, where that is not by one answer to the plain problem."""
        return getattr(self.episode, "evaluation", None)

    @property
    def needs(self) -> frozenset[str]:
        """Everything the stages ask the trainer to provide."""
        parts = (self.credit, self.objective, self.kl_loss, self.kl_reward, self.entropy)
        found: frozenset[str] = frozenset()
        for part in parts:
            found |= getattr(part, "needs", frozenset())
        return found

    def formula(self) -> str:
        """The resolved loss, line by line, in plain text."""
        added = [p.formula() for p in (self.kl_loss, self.entropy) if p is not None]
        if self.value_coef is not None:
            added.append(f"{self.value_coef:g} (V_t − return_t)²/2")
        weight = "w_t · " if self.correction is not None else ""
        lines = [
            f"loss = {self.reduction}(ℓ)",
            f"ℓ = {' + '.join([weight + self.objective.formula(), *added])}",
        ]
        stated = [reward for reward in self.rewards if hasattr(reward, "formula")]
        for part in (self.correction, self.credit, self.kl_reward, *stated):
            if part is not None:
                lines.append(part.formula())
        return "\n".join(lines)

    @property
    def couples(self) -> str:
        """What a micro-batch must not split: the widest of the parts."""
        parts = (self.objective, self.correction, self.kl_loss)
        found = {getattr(part, "couples", "token") for part in parts}
        return "group" if "group" in found else "sequence" if "sequence" in found else "token"
