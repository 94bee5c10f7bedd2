"""A method: one choice for every stage, and the formula it amounts to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hone.core.stages import Curriculum, Episode, Objective, Reward, Selector


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
    reduce: Callable[..., Any]
    correction: Any = None
    kl_loss: Any = None
    kl_reward: Any = None
    entropy: Any = None
    value_coef: float = 0.5

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
        lines = [f"loss = {self.reduction}[ {self.objective.formula()} ]"]
        if self.credit is not None:
            lines.append(self.credit.formula())
        for part in (self.correction, self.kl_reward, self.kl_loss, self.entropy):
            if part is not None:
                lines.append(part.formula())
        return "\n".join(lines)
