"""The continuation episode: from inside the policy's own thinking, half of the rollouts answer, half think on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hone.core.errors import RecipeError
from hone.core.noise import uniforms
from hone.core.options import require
from hone.core.stages import Context, Request
from hone.core.trajectory import Segment, Trajectory
from hone.episodes.forcing import FORCE, Forcing, Place, places_of
from hone.episodes.segmentation import ONLINE, Segmentation


@dataclass(frozen=True)
class Continuation:
    """A trace of the policy is cut after a random number of its episodes, any from none to all but the last.

    From there `count` rollouts begin: the first half, rounded down, is made to answer by `force` (label `terminated`),
    the others go on thinking, within the length that the whole trace had. The prefix is an observation: it carries no
    loss, because it is the policy's of before. `rewards: termination_baseline` credits what thinking on adds to
    answering; without it credit compares all rollouts of the group. `selectors: continuations` leaves the answers out
    of the loss. `close`, `split` and `answer_tokens` are those of `episode: thinking`. RecipeError for one rollout.
    """

    close: str = "</think>"
    force: str = FORCE
    split: Segmentation = ONLINE
    answer_tokens: int | None = None

    samples: ClassVar[bool] = True
    terminates: ClassVar[bool] = True  # some of its rollouts are made to answer at once

    def __post_init__(self) -> None:
        require("close", self.close, bool(self.close), "a text that is not empty")
        require("force", self.force, bool(self.force), "a text that is not empty")
        if self.answer_tokens is not None:
            require("answer_tokens", self.answer_tokens, self.answer_tokens >= 1, "at least 1")

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """The forced answers, then the continuations."""
        if request.count < 2:
            raise RecipeError(
                "`episode: continuation` got one rollout: it answers or thinks on, and is compared with nothing.",
                "Ask for at least 2 rollouts of a problem.",
            )
        noise = replace(context.noise.child(request.group), draw=len(request.drawn))
        place, trace = await self._prefix(request, context)
        answers = request.count // 2
        forcing = Forcing(self.force, answers, self.answer_tokens)
        role = context.role("policy")
        params = replace(context.params, max_tokens=context.params.max_tokens - place.tokens)
        on = role.fork(place.leaf, request.count - answers, "continue", params, noise.child(1))
        forced, longer = await context.together([forcing.at(place, context, noise.child(0)), on])
        out = []
        for i, sampled in enumerate((*forced, *longer)):
            said = self.force if i < answers else ""
            labels = {
                "group": request.group, "rollout": len(request.drawn) + i, "variant": request.variant,
                "terminated": int(i < answers),
            }  # fmt: skip
            text = place.text + said + context.decode(sampled.segment.tokens)
            trajectory = Trajectory(
                request.problem, sampled.segment, text, sampled.finish_reason, labels,
                readings={"prefix_tokens": (float(place.tokens),)},
                aside=(trace,) if i == 0 and trace is not None else (),
            )  # fmt: skip
            out.append(trajectory)
        return out

    async def _prefix(self, request: Request, context: Context) -> tuple[Place, Segment | None]:
        """Where all rollouts of the group begin, and the trace that it was cut from, if that was sampled just now."""
        if request.drawn:
            leaf = next(t.leaf.parent for t in request.drawn if not t.labels["terminated"])
            assert leaf is not None  # an answer lies below its prompt
            text = context.decode(leaf.tokens) if leaf.kind == "observation" else ""
            tokens = len(leaf.tokens) if leaf.kind == "observation" else 0
            return Place(leaf, tokens, request.prefix_text + text), None
        prompt = Segment(context.encode(request.shown), "prompt")
        noise = context.noise.child(request.group)
        (sampled,) = await context.role("policy").sample(prompt, 1, context.params, noise.child(2))
        places, trace = places_of(sampled, request.prefix_text, self.close, self.split, context)
        starts = [Place(prompt, 0, request.prefix_text), *places[:-1]]
        chance = float(uniforms([noise.child(3)], 1)[0, 0])
        chosen = starts[int(chance * len(starts))]
        if chosen.tokens == 0:
            return chosen, trace
        prefix = Segment(sampled.segment.tokens[: chosen.tokens], "observation", prompt)
        return Place(prefix, chosen.tokens, chosen.text), trace
