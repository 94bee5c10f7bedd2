"""Forced answers: from any place of a thinking trace, what the policy answers if it must do so now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hone.core.noise import NoiseKey
from hone.core.problem import Problem, Verdict
from hone.core.stages import Context, Sampled
from hone.core.trajectory import Segment, cut
from hone.episodes.segmentation import Segmentation, token_places

WORDS = ("\n\nWait", "\n\nBut wait", "\n\nAlternatively", "\n\nBut hold on")
FORCE = "\n\nTime is up: I give the best answer that I have.\n</think>\n\n"


@dataclass(frozen=True)
class Place:
    """A place of a trace: it ends with `leaf`, after `tokens` tokens of thinking that read `text`."""

    leaf: Segment
    tokens: int
    text: str


@dataclass(frozen=True)
class Answers:
    """What was answered at a place, and what it was worth."""

    place: Place
    sampled: tuple[Sampled, ...]
    texts: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def success(self) -> float:
        """J(μ): the mean reward of the answers that could be judged; NaN if none could."""
        rewards = [v.reward for v in self.verdicts if v.reward is not None]
        return float(np.mean(rewards)) if rewards else float("nan")

    @property
    def tokens(self) -> float:
        """Tokens up to the place and of an answer, on average. The text that forces it is not counted."""
        return self.place.tokens + float(np.mean([len(s.segment.tokens) for s in self.sampled]))


@dataclass(frozen=True)
class Forcing:
    """How answers are forced: `force` is said, then `branches` answers of at most `answer_tokens` are sampled."""

    force: str
    branches: int
    answer_tokens: int | None

    async def at(self, place: Place, context: Context, noise: NoiseKey) -> list[Sampled]:
        """Answers at a place."""
        most = self.answer_tokens or context.params.max_tokens
        params = replace(context.params, max_tokens=most)
        role = context.role("policy")
        return await role.fork(place.leaf, self.branches, "terminate", params, noise, self.force)

    async def judged(
        self,
        places: Sequence[Place],
        sampled: Sequence[Sequence[Sampled]],
        problem: Problem,
        context: Context,
    ) -> list[Answers]:
        """The verdicts on answers: on the thinking so far, what forced them, and the answer, as one text."""
        texts = [
            tuple(p.text + self.force + context.decode(s.segment.tokens) for s in answers)
            for p, answers in zip(places, sampled, strict=True)
        ]
        flat = [text for each in texts for text in each]
        state = {"global_step": context.noise.step}
        found = iter(await context.judge.score([problem] * len(flat), flat, state))
        return [
            Answers(p, tuple(s), t, tuple(next(found) for _ in t))
            for p, s, t in zip(places, sampled, texts, strict=True)
        ]


def places_of(
    sampled: Sampled, before: str, close: str, split: Segmentation, context: Context
) -> tuple[list[Place], Segment]:
    """Where the episodes of a trace end, the last place being where its thinking does; and the trace, cut there.

    Thinking ends before the first `close`; in a trace without it, before its end token. A trace without thinking has no
    places. `before` is the text that is judged with every answer.
    """
    leaf = sampled.segment
    text = context.decode(leaf.tokens)
    end = text.find(close)
    thinking = text if end < 0 else text[:end]
    found = list(token_places(leaf.tokens, text, split.cuts(thinking), context.decode))
    if end < 0:
        last = len(leaf.tokens) - (sampled.finish_reason == "stop")
    else:
        last = next(iter(token_places(leaf.tokens, text, [end], context.decode)), 0)
    if last > (found[-1] if found else 0):
        found.append(last)
    chain = cut(leaf, [p for p in found if p < len(leaf.tokens)])
    places = [Place(s, p, before + context.decode(leaf.tokens[:p])) for s, p in zip(chain, found)]
    return places, chain[-1]


async def think_on(
    place: Place, word: str, tokens: int, close: str, context: Context, noise: NoiseKey
) -> Place:
    """Budget forcing: `word` is put where thinking would have ended, and at most `tokens` more are sampled.

    What is sampled is cut before `close` and the end token; what is left may be the word alone.
    """
    params = replace(context.params, max_tokens=tokens)
    (sampled,) = await context.role("policy").fork(place.leaf, 1, "guided", params, noise, word)
    leaf, word_leaf = sampled.segment, sampled.segment.parent
    assert word_leaf is not None  # the branch lies below the word
    text = context.decode(leaf.tokens)
    end = text.find(close)
    keep = len(leaf.tokens) - (sampled.finish_reason == "stop")
    if end >= 0:
        keep = next(iter(token_places(leaf.tokens, text, [end], context.decode)), 0)
    kept = word_leaf
    if keep > 0:
        kept = cut(leaf, [keep] if keep < len(leaf.tokens) else [])[0]
    spent = place.tokens + len(word_leaf.tokens) + keep
    return Place(kept, spent, place.text + word + context.decode(leaf.tokens[:keep]))
