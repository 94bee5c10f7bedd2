"""An outcome credit piece as a table: what a success and a failure are worth in a group with so many successes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hone.core.errors import RecipeError

if TYPE_CHECKING:
    from jaxtyping import Float

Credit = Callable[[Any, Any], Any]  # a piece of hone.credit: (values[U], groups[U]) -> advantages[U]
TOLERANCE = 1e-9


def tabulate(
    credit: Credit, largest: int, sizes: tuple[int, ...] | None = None
) -> Float[np.ndarray, "n k 2"]:
    """`table[n, k]` = (advantage of a success, of a failure) in a group of n with k successes, from the piece itself.

    With rewards of 0 and 1, a piece that looks at one group alone and not at the order of its rollouts is no more than
    that. Both are checked: RecipeError for a piece that gives other advantages when a second group stands beside the
    first, or when rollouts change places, or that treats two successes of a group differently. `sizes` are the
    group sizes to fill, by default all from the piece's `min_group` to `largest`; the others are NaN, so that no run
    can use them in silence. An advantage of what a group does not have is 0.
    """
    least = int(getattr(credit, "min_group", 1))
    chosen = tuple(range(least, largest + 1)) if sizes is None else sizes
    table = np.full((largest + 1, largest + 1, 2), np.nan)
    for n in chosen:
        if not least <= n <= largest:
            raise RecipeError(f"A group of {n} rollouts.", f"It must be from {least} to {largest}.")
        table[n, : n + 1] = _entries(credit, n)
    return table


def _entries(credit: Credit, n: int) -> Float[np.ndarray, "k 2"]:
    """The advantages in groups of n with 0 to n successes, all asked for at once."""
    places = torch.arange(n)
    values = (places < torch.arange(n + 1)[:, None]).to(torch.float64)  # row k: k successes, then failures
    together = _call(credit, values)
    if not torch.allclose(_call(credit, values.flip(1)), together.flip(1), atol=TOLERANCE, rtol=0):
        raise _refused(credit, "depends on the order of rollouts")
    for k in {0, 1, n // 2, n - 1, n}:
        alone = _call(credit, values[k : k + 1])
        if not torch.allclose(alone[0], together[k], atol=TOLERANCE, rtol=0):
            raise _refused(credit, "lets one group change the advantages of another")
    out = np.zeros((n + 1, 2))
    for k in range(n + 1):
        for place, part in enumerate((together[k, :k], together[k, k:])):
            if len(part) and float(part.max() - part.min()) > TOLERANCE:
                raise _refused(credit, "gives equal rollouts of a group different advantages")
            out[k, place] = float(part[0]) if len(part) else 0.0
    return out


def _call(credit: Credit, values: torch.Tensor) -> torch.Tensor:
    """Advantages of `values[groups, n]`, each row a group."""
    groups = torch.arange(len(values)).repeat_interleave(values.shape[1])
    out = torch.as_tensor(credit(values.flatten(), groups), dtype=torch.float64)
    if out.shape != groups.shape or not bool(torch.isfinite(out).all()):
        raise _refused(credit, "does not give a finite number for each rollout")
    return out.reshape(values.shape)


def _refused(credit: Credit, what: str) -> RecipeError:
    return RecipeError(
        f"{credit!r} {what}, so it is no table of the number of successes.",
        "The simulator takes pieces that look at one group alone: rloo, maxrl, pass_at_k, grpo but for `scale: batch`.",
    )
