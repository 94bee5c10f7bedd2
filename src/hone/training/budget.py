"""The token budget of forward passes, and what happens to it when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hone.core.errors import PolicyError
from hone.core.trajectory import Trajectory
from hone.kernels.shortage import first_line, release
from hone.training.microbatch import stored_tokens

MENDS = "Lower `max_completion_length`, set `recompute_activations=true` or `dtype=bfloat16`, or take a smaller model."


@dataclass(frozen=True)
class Shortage:
    """A forward or backward pass that memory did not suffice for."""

    where: str  # update or score
    units: int  # rollouts of the pass, or groups where the method couples them
    tokens: int  # stored tokens of the pass
    largest: int  # stored tokens of the largest pass that the same batch was cut into
    detail: str  # what the allocator said, in one line


def shortage(
    where: str, error: Exception, passes: Sequence[Sequence[Trajectory]], failed: int, couples: str = "token"
) -> Shortage:
    """What is known of pass number `failed` of `passes`."""
    group_of = [t.labels.get("group", 0) for t in passes[failed]]
    units = len(set(group_of)) if couples == "group" else len(group_of)
    sizes = [stored_tokens(chosen) for chosen in passes]
    return Shortage(where, units, sizes[failed], max(sizes), first_line(error))


def _tell_nobody(found: Shortage, before: int, after: int) -> None:
    """The default: whoever made the budget reads it."""


@dataclass
class TokenBudget:
    """How many stored tokens a forward pass may have. It only ever falls, and stays where it fell to.

    `tell` hears of every shortage, with the budget before and after it.
    """

    tokens: int
    tell: Callable[[Shortage, int, int], None] = _tell_nobody

    def halve(self, found: Shortage) -> None:
        """Halve the budget until it cuts the batch anew, and give memory back.

        Call it where nothing of the pass that failed is referred to any more. Raises PolicyError if that pass had one
        unit alone, which no budget makes smaller.
        """
        release()
        if found.units <= 1:
            raise PolicyError(
                f"Memory ran out in the {found.where} pass of one unit alone, which has {found.tokens:,} tokens and "
                f"cannot be cut: {found.detail}",
                MENDS,
            )
        before = self.tokens
        self.tokens = before // 2
        while self.tokens >= found.largest:  # a budget above all that the batch holds changes nothing
            self.tokens //= 2
        self.tell(found, before, self.tokens)
