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


def tabulate(credit: Credit, largest: int, sizes: tuple[int, ...] | None = None) -> Float[np.ndarray, "n k 2"]:
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
            raise RecipeError(f"A group of {n} rollouts.", f"This credit piece takes {least} or more; the table {largest}.")
        table[n, : n + 1] = [_entry(credit, n, k) for k in range(n + 1)]
    return table


def _entry(credit: Credit, n: int, k: int) -> tuple[float, float]:
    values = torch.zeros(n, dtype=torch.float64)
    values[:k] = 1
    alone = _call(credit, values, torch.zeros(n, dtype=torch.long))
    success, failure = alone[:k], alone[k:]
    if _spread(success) > TOLERANCE or _spread(failure) > TOLERANCE:
        raise _refused(credit, "gives equal rollouts of a group different advantages")
    turned = _call(credit, values.flip(0), torch.zeros(n, dtype=torch.long))
    if not torch.allclose(turned, alone.flip(0), atol=TOLERANCE, rtol=0):
        raise _refused(credit, "depends on the order of rollouts")
    # A group beside it, of one success and otherwise failures, shows what couples groups.
    other = torch.zeros(n, dtype=torch.float64)
    other[0] = 1
    joint = _call(credit, torch.cat([values, other]), torch.arange(2).repeat_interleave(n))
    if not torch.allclose(joint[:n], alone, atol=TOLERANCE, rtol=0):
        raise _refused(credit, "lets one group change the advantages of another")
    return float(success[0]) if k else 0.0, float(failure[0]) if k < n else 0.0


def _call(credit: Credit, values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    out = torch.as_tensor(credit(values, groups), dtype=torch.float64)
    if out.shape != values.shape or not bool(torch.isfinite(out).all()):
        raise _refused(credit, "does not give a finite number for each rollout")
    return out


def _spread(values: torch.Tensor) -> float:
    return float(values.max() - values.min()) if len(values) else 0.0


def _refused(credit: Credit, what: str) -> RecipeError:
    return RecipeError(
        f"{credit!r} {what}, so it is no table of the number of successes.",
        "The simulator takes pieces that look at one group alone: rloo, grpo with `scale` group or none, maxrl, pass_at_k.",
    )
