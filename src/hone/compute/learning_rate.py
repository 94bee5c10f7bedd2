"""The square-root rule: which learning rate suits a step of another size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Anchor:
    """A learning rate that is known to suit steps of `rollouts` rollouts: the recipe's own."""

    learning_rate: float
    rollouts: int

    def at(self, rollouts: int) -> float:
        """eta(B) = eta sqrt(B / B_0) to 6 significant digits, B the `rollouts` of a step.

        With B rollouts the noise of the mean gradient falls as 1 / sqrt(B), which is what Adam's step divides by.
        Source: IsoCompute Playbook (arXiv 2603.12151), which uses it in all cells.
        """
        if rollouts == self.rollouts:
            return self.learning_rate
        return float(f"{self.learning_rate * (rollouts / self.rollouts) ** 0.5:.6g}")
