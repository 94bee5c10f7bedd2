"""Outcome credit pieces one after another: each takes the values the one before it made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class OutcomeCredit(Protocol):
    """What a link of a chain offers."""

    @property
    def needs(self) -> frozenset[str]:
        """What the piece reads beyond values and groups."""
        ...

    @property
    def surrogate(self) -> bool:
        """Whether the update is the gradient of no stated objective."""
        ...

    @property
    def min_group(self) -> int:
        """Units a group needs to have any signal."""
        ...

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Values in, values out, unit by unit."""
        ...

    def formula(self) -> str:
        """Plain text."""
        ...


@dataclass(frozen=True)
class Chain:
    """`links` in order; without links the values pass through unchanged."""

    links: tuple[OutcomeCredit, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """What any link needs."""
        return frozenset().union(*(link.needs for link in self.links))

    @property
    def surrogate(self) -> bool:
        """Whether some link gives up being a gradient."""
        return any(link.surrogate for link in self.links)

    @property
    def min_group(self) -> int:
        """The largest group that any link needs."""
        return max((link.min_group for link in self.links), default=1)

    @property
    def min_batch(self) -> int:
        """The largest batch that any link needs."""
        return max((getattr(link, "min_batch", 1) for link in self.links), default=1)

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Apply every link."""
        for link in self.links:
            values = link(values, groups)
        return values

    def formula(self) -> str:
        """The links in plain text, first to last."""
        return " → ".join(link.formula() for link in self.links) or "A_i = r_i"

    __repr__ = formula
