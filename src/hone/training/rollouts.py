"""Run the episodes of one schedule side by side: they meet at the engine's barriers, never by arrival time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hone.core.sampling import Engine
from hone.core.stages import Context, Episode, Request
from hone.core.trajectory import Trajectory


def run_episodes(
    requests: Sequence[Request], episode: Episode, context: Context, engine: Engine | None
) -> list[Trajectory]:
    """All trajectories of `requests`, in request order. The first error of any episode is raised."""

    async def one(request: Request) -> list[Trajectory]:
        try:
            return await episode(request, context)
        finally:
            if episode.samples and engine is not None:
                engine.leave()

    async def all_of_them() -> list[list[Trajectory]]:
        if episode.samples and engine is not None:
            engine.expect(len(requests))
        return await asyncio.gather(*(one(r) for r in requests))

    return [t for group in asyncio.run(all_of_them()) for t in group]
