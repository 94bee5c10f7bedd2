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
    tokens: int  # stored tokens of the pass
    largest: int  # stored tokens of the largest pass that the same batch was cut into
    divisible: bool  # whether any of those passes has more than one unit, so that a smaller budget cuts it
    detail: str  # what the allocator said, in one line


def shortage(
    where: str, error: Exception, passes: Sequence[Sequence[Trajectory]], failed: int, couples: str = "token"
) -> Shortage:
    """What is known of pass number `failed` of `passes`."""
    sizes = [stored_tokens(chosen) for chosen in passes]
    units = [{t.labels["group"] for t in chosen} if couples == "group" else chosen for chosen in passes]
    return Shortage(where, sizes[failed], max(sizes), max(map(len, units)) > 1, first_line(error))


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

        Call it where nothing of the pass that failed is referred to any more. Raises PolicyError if every pass was one
        unit already, which no budget makes smaller.
        """
        release()
        if not found.divisible:
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
