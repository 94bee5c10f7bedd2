"""Run the episodes of one schedule side by side: they meet at the engine's barriers, never by arrival time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from hone.core.sampling import Engine
from hone.core.stages import Context, Episode, Request
from hone.core.trajectory import Trajectory


async def episodes(
    requests: Sequence[Request],
    episode: Episode,
    context: Context,
    engine: Engine | None,
    tell: Callable[[list[Trajectory]], None] | None = None,
) -> list[Trajectory]:
    """All trajectories of `requests`, in request order; `tell` hears of those of each episode as it ends.

    The first error of any episode is raised.
    """
    meets = episode.samples and engine is not None

    async def one(request: Request) -> list[Trajectory]:
        try:
            found = await episode(request, context)
        finally:
            if meets and engine is not None:
                engine.leave()
        if tell is not None:
            tell(found)
        return found

    if meets and engine is not None:
        engine.expect(len(requests))
    groups = await asyncio.gather(*(one(r) for r in requests))
    return [t for group in groups for t in group]


def run_episodes(
    requests: Sequence[Request], episode: Episode, context: Context, engine: Engine | None
) -> list[Trajectory]:
    """`episodes` in an event loop of their own."""
    return asyncio.run(episodes(requests, episode, context, engine))
