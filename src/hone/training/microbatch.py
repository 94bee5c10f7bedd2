"""Cut a batch into forward passes under a token budget, keeping siblings together so that they share their prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hone.core.trajectory import Segment, Trajectory


def microbatches(
    trajectories: Sequence[Trajectory], groups: Sequence[int], max_tokens: int, couples: str = "token"
) -> Iterator[list[int]]:
    """Indices of each micro-batch: at most `max_tokens` stored tokens, at least one unit.

    A unit is a rollout, or a whole group where the objective couples groups. Units are taken in group order, so that
    a prompt is computed in as few passes as possible. A single unit over the budget forms a pass of its own.
    """
    order = sorted(range(len(trajectories)), key=lambda i: (groups[i], i))
    units: list[list[int]] = []
    for i in order:
        if couples == "group" and units and groups[units[-1][0]] == groups[i]:
            units[-1].append(i)
        else:
            units.append([i])
    current: list[int] = []
    stored: set[Segment] = set()
    used = 0
    for unit in units:
        segments = {s for i in unit for s in trajectories[i].segments}
        cost = sum(len(s.tokens) for s in segments - stored)
        if current and used + cost > max_tokens:
            yield current
            current, stored, used = [], set(), 0
            cost = sum(len(s.tokens) for s in segments)
        current += unit
        stored |= segments
        used += cost
    if current:
        yield current


def stored_tokens(trajectories: Iterable[Trajectory]) -> int:
    """Tokens of the distinct segments of `trajectories`: what one forward pass of them computes."""
    return sum(len(s.tokens) for s in {s for t in trajectories for s in t.segments})


def minibatches(groups: Sequence[int], count: int) -> list[list[int]]:
    """Rollout indices of each of `count` minibatches, whole groups dealt out in order, sizes as equal as they can be.

    Fewer than `count` come back if there are fewer groups.
    """
    distinct = sorted(set(groups))
    count = min(count, len(distinct))
    dealt = {g: at * count // len(distinct) for at, g in enumerate(distinct)}
    out: list[list[int]] = [[] for _ in range(count)]
    for i, g in enumerate(groups):
        out[dealt[g]].append(i)
    return out
