"""The episode of RLAD: abstractions of a problem, solutions with each of them, and solutions with none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hone.core.errors import RecipeError
from hone.core.noise import NoiseKey
from hone.core.options import require
from hone.core.parts import Part
from hone.core.problem import Prompt
from hone.core.sampling import SamplingParams
from hone.core.stages import Context, Request, Sampled
from hone.core.trajectory import Segment, Trajectory
from hone.episodes.templates import ABSTRACTION, PROBLEM, check_template, fill

ABSTRACTOR, SOLVER = "abstractor", "solver"
ASK = (
    "{problem}\n\nDo not solve this problem. Write a short note for whoever will: which ideas, facts or steps to try, "
    "and what to look out for. Do not give the answer away."
)
SOLVE = "{problem}\n\nA note on how to go about it, which may help:\n{abstraction}"
BLIND = (
    "A note on how to go about a problem that is not shown:\n{abstraction}\n\nGive the answer of the problem."
)


@dataclass(frozen=True)
class Abstraction:
    """`abstractions` of each problem, then the same number of solutions with each, and `bare` ones with none.

    `num_generations` counts solutions: m = (num_generations - bare) / abstractions with each abstraction. With `blind`,
    so many answers are sampled from each abstraction without its problem; they find leaks and are never learnt from.
    An empty abstraction is none: its solutions are bare ones.

    Prompts are made by templates of `{problem}` and `{abstraction}`. One model plays both roles; a role `abstractor` or
    `solver` among the recipe's `models` plays its own, frozen. Trajectories carry `part` (see `core.parts`) and `item`,
    the number of their abstraction; hints come first, then solutions, bare and blind ones.
    Source: RLAD (arXiv 2510.02263); n hints with m solutions each are the hierarchical form of the released code.
    """

    abstractions: int = 4
    bare: int = 0
    blind: int = 0
    max_abstraction_length: int = 256
    abstraction_prompt: str = ASK
    solution_prompt: str = SOLVE
    blind_prompt: str = BLIND
    num_generations: int = 16
    models: tuple[str, ...] = ()

    samples: ClassVar[bool] = True
    whole_groups: ClassVar[bool] = True  # the rollouts of a problem cannot come in rounds

    def __post_init__(self) -> None:
        for key, least in (("abstractions", 1), ("bare", 0), ("blind", 0), ("max_abstraction_length", 1)):
            require(f"episode.{key}", getattr(self, key), getattr(self, key) >= least, f"at least {least}")
        check_template("episode.abstraction_prompt", self.abstraction_prompt, PROBLEM, without=ABSTRACTION)
        check_template("episode.solution_prompt", self.solution_prompt, PROBLEM, ABSTRACTION)
        check_template("episode.blind_prompt", self.blind_prompt, ABSTRACTION, without=PROBLEM)
        self.solutions(self.num_generations)

    def solutions(self, count: int) -> int:
        """Solutions with each abstraction, of `count` in all. Raises RecipeError if they do not come out even."""
        each, rest = divmod(count - self.bare, self.abstractions)
        if each < 1 or rest:
            raise RecipeError(
                f"{count} solutions of a problem, {self.bare} of them bare, are not shared evenly by "
                f"{self.abstractions} abstractions.",
                "Set `num_generations` to `episode.bare` and a multiple of `episode.abstractions`.",
            )
        return each

    def plays(self, role: str) -> str:
        """Which model plays `role`: a frozen one of that name, or the policy."""
        return role if role in self.models else "policy"

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """`abstractions` hints, `request.count` solutions, and `blind` answers from each hint."""
        each, noise = self.solutions(request.count), context.noise.child(request.group)
        short = replace(context.params, max_tokens=self.max_abstraction_length)
        ask = fill(self.abstraction_prompt, request.shown, {})
        hints = await self._sample(
            context, ABSTRACTOR, ask, self.abstractions, short, noise.child(Part.ABSTRACTION)
        )
        texts = [context.decode(hint.segment.tokens).strip() for hint in hints]
        asked: list[tuple[Part, int, Prompt, int]] = []
        for item, text in enumerate(texts):
            prompt = fill(self.solution_prompt, request.shown, {ABSTRACTION: text}) if text else request.shown
            asked.append((Part.SOLUTION if text else Part.BARE, item, prompt, each))
        if self.bare:
            asked.append((Part.BARE, self.abstractions, request.shown, self.bare))
        for item, text in enumerate(texts if self.blind else ()):
            if text:
                asked.append((Part.BLIND, item, self._blind(request.shown, text), self.blind))
        found = await context.together(
            [
                self._sample(context, SOLVER, prompt, count, context.params, noise.child(part, item))
                for part, item, prompt, count in asked
            ]
        )
        out: list[Trajectory] = []
        for item, hint in enumerate(hints):
            out.append(_trajectory(request, hint, texts[item], len(out), Part.ABSTRACTION, item))
        for (part, item, _, _), answers in zip(asked, found, strict=True):
            for answer in answers:
                out.append(
                    _trajectory(request, answer, context.decode(answer.segment.tokens), len(out), part, item)
                )
        return out

    def _blind(self, shown: Prompt, text: str) -> Prompt:
        """The prompt with the abstraction alone; of a chat, what stands before the problem (a system message) stays."""
        return fill(self.blind_prompt, shown, {ABSTRACTION: text})

    async def _sample(
        self, context: Context, role: str, prompt: Prompt, count: int, params: SamplingParams, noise: NoiseKey
    ) -> Sequence[Sampled]:
        """`count` answers to `prompt` by whoever plays `role`; those of a frozen model bear its name."""
        player = self.plays(role)
        tokens = context.encode(prompt)
        if player != "policy" and not np.array_equal(tokens, context.role(player).encode(prompt)):
            raise RecipeError(
                f"The model of the role `{player}` has another tokenizer than the policy.",
                f"Give `models.{player}` a model of the policy's family.",
            )
        root = Segment(tokens, "prompt")
        found = await context.role(player).sample(root, count, params, noise)
        return [replace(each, segment=replace(each.segment, role=player)) for each in found]


def _trajectory(
    request: Request, sampled: Sampled, text: str, rollout: int, part: Part, item: int
) -> Trajectory:
    labels = {"group": request.group, "rollout": rollout, "variant": request.variant}
    return Trajectory(
        problem=request.problem,
        leaf=sampled.segment,
        text=text,
        finish_reason=sampled.finish_reason,
        labels={**labels, "part": int(part), "item": item},
    )
