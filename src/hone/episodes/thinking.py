"""The thinking episode: whole traces of the policy, and answers forced at the end of each episode of their thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hone.core.noise import NoiseKey
from hone.core.options import require
from hone.core.stages import Context, Request, Sampled
from hone.core.trajectory import Segment, Trajectory
from hone.episodes.forcing import FORCE, WORDS, Answers, Forcing, Place, places_of, think_on
from hone.episodes.segmentation import ONLINE, Segmentation


@dataclass(frozen=True)
class _Trace:
    """A sampled trace: its places, those of the thinking that was forced on it, and the answers at all of them."""

    sampled: Sampled
    leaf: Segment
    text: str
    places: list[Place]
    further: list[Place]


@dataclass(frozen=True)
class Thinking:
    """`count` traces of each problem, their episodes told apart by `split`, and `branches` forced answers at the prompt
    and at the end of every episode.

    A trace is one completion: thinking, `close`, and an answer. An answer is forced by `force`, which should close the
    thinking, and has at most `answer_tokens` tokens (None: as many as a trace). The verdict on it is on the text of the
    thinking so far, `force` and the answer.

    Trajectories are the traces, with readings for `rewards: progress` and for evaluation: `episode_starts` (tokens
    before each episode, and where thinking ends), and at each of those places `forced_success` (mean reward) and
    `forced_tokens` (tokens up to there and of an answer). Forced answers are charged but are no trajectories, unless
    `keep_answers`: then they come after the traces, each place a part of its own, with the labels `terminated`, `trace`
    and `place`, and the policy that answers is trained too.

    `extend` (for evaluation) is how often a continuation of `words` is put where the thinking would have ended, each
    followed by at most `extend_tokens` tokens: `extended_success` and `extended_tokens` are the readings there.

    With `trim` a trace ends at the first place where its forced success is highest, with `close` and a right answer
    that was forced there: the self-training form, for `objective: supervised` with `selectors: most_progress`.
    """

    close: str = "</think>"
    force: str = FORCE
    split: Segmentation = ONLINE
    branches: int = 8
    answer_tokens: int | None = None
    keep_answers: bool = False
    trim: bool = False
    extend: int = 0
    extend_tokens: int = 2048
    words: tuple[str, ...] = WORDS

    samples: ClassVar[bool] = True
    places: ClassVar[bool] = True  # its trajectories have the readings that `progress` wants

    def __post_init__(self) -> None:
        require("close", self.close, bool(self.close), "a text that is not empty")
        require("force", self.force, bool(self.force), "a text that is not empty")
        require("branches", self.branches, self.branches >= 1, "at least 1")
        require("extend", self.extend, self.extend >= 0, "at least 0")
        require("extend_tokens", self.extend_tokens, self.extend_tokens >= 1, "at least 1")
        require("words", self.words, bool(self.words) and all(self.words), "texts that are not empty")
        if self.answer_tokens is not None:
            require("answer_tokens", self.answer_tokens, self.answer_tokens >= 1, "at least 1")

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """The traces in rollout order, then the forced answers if they are kept."""
        first = len(request.drawn)
        prompt = request.drawn[0].segments[0] if first else Segment(context.encode(request.shown), "prompt")
        noise = replace(context.noise.child(request.group), draw=first)
        sampled = await context.role("policy").sample(prompt, request.count, context.params, noise)
        start = Place(prompt, 0, request.prefix_text)
        traces = [self._read(each, start, context) for each in sampled]
        if self.extend:
            # Noise of a trace has the path (group, rollout): more numbers set what branches off apart from it.
            parts = [self._further(t, start, context, noise.child(i, 1)) for i, t in enumerate(traces)]
            longer = await context.together(parts)
            traces = [replace(t, further=more) for t, more in zip(traces, longer, strict=True)]
        asked = [(start, noise.child(-1, 0))]
        for i, trace in enumerate(traces):
            asked += [
                (place, noise.child(i, 0, j)) for j, place in enumerate((*trace.places, *trace.further))
            ]
        forcing = Forcing(self.force, self.branches, self.answer_tokens)
        found = await context.together([forcing.at(place, context, key) for place, key in asked])
        answers = await forcing.judged([place for place, _ in asked], found, request.problem, context)
        return self._trajectories(request, traces, answers, context)

    def _read(self, sampled: Sampled, start: Place, context: Context) -> _Trace:
        places, leaf = places_of(sampled, start.text, self.close, self.split, context)
        return _Trace(sampled, leaf, start.text + context.decode(sampled.segment.tokens), places, [])

    async def _further(self, trace: _Trace, start: Place, context: Context, noise: NoiseKey) -> list[Place]:
        """The places of a thinking that is made to go on, again and again."""
        here, found = trace.places[-1] if trace.places else start, list[Place]()
        for i in range(self.extend):
            word = self.words[i % len(self.words)]
            here = await think_on(here, word, self.extend_tokens, self.close, context, noise.child(i))
            found.append(here)
        return found

    def _trajectories(
        self, request: Request, traces: Sequence[_Trace], answers: Sequence[Answers], context: Context
    ) -> list[Trajectory]:
        begin, rest = answers[0], iter(answers[1:])
        out, kept = list[Trajectory](), list[Trajectory]()
        for i, trace in enumerate(traces):
            own, further = [next(rest) for _ in trace.places], [next(rest) for _ in trace.further]
            new = ([begin] if i == 0 else []) + own + further  # the prompt's answers are those of all traces
            labels = {"group": request.group, "rollout": len(request.drawn) + i, "variant": request.variant}
            trajectory = Trajectory(
                request.problem, trace.leaf, trace.text, trace.sampled.finish_reason, labels,
                readings=_readings([begin, *own], further),
                aside=() if self.keep_answers else tuple(s.segment for a in new for s in a.sampled),
            )  # fmt: skip
            out.append(self._trimmed(trajectory, [begin, *own], context) if self.trim else trajectory)
            for j, each in enumerate(new if self.keep_answers else [], start=int(i > 0)):
                kept += _as_trajectories(each, trajectory, {"terminated": 1, "trace": i, "place": j})
        parts = {key: n for n, key in enumerate(dict.fromkeys(map(_place, kept)), start=1)}
        numbered = enumerate(kept, start=len(request.drawn) + len(out))
        return out + [
            replace(t, labels={**t.labels, "rollout": n, "part": parts[_place(t)]}) for n, t in numbered
        ]

    def _trimmed(self, whole: Trajectory, answers: Sequence[Answers], context: Context) -> Trajectory:
        """The trace up to the first place of its highest success, closed with an answer that was right there.

        A trace whose own answer comes there is left as it is, and so is one that no forced answer of was right.
        """
        success = [a.success for a in answers]
        best = int(np.nanargmax(success)) if np.isfinite(success).any() else len(success) - 1
        chosen = answers[best]
        right = next((i for i, v in enumerate(chosen.verdicts) if (v.reward or 0) >= 1), None)
        if best == len(answers) - 1 or right is None:
            return whole
        answer = chosen.sampled[right]
        close = context.observe(chosen.place.leaf, self.close).tokens
        zeros = np.zeros(len(close), np.float32)  # no policy chose to close here: it is imitated
        closing = Segment(close, "action", chosen.place.leaf, zeros)
        leaf = Segment(answer.segment.tokens, "action", closing, answer.segment.logprobs)
        text = chosen.place.text + self.close + context.decode(answer.segment.tokens)
        return replace(
            whole, leaf=leaf, text=text, finish_reason=answer.finish_reason,
            readings=_readings(answers[: best + 1], []), aside=(*whole.aside, whole.leaf),
        )  # fmt: skip


def _place(trajectory: Trajectory) -> tuple[int, int]:
    return trajectory.labels["trace"], trajectory.labels["place"]


def _as_trajectories(answers: Answers, trace: Trajectory, labels: Mapping[str, int]) -> list[Trajectory]:
    """The answers of one place, with the verdicts that they have already."""
    return [
        Trajectory(
            trace.problem, s.segment, text, s.finish_reason, {**trace.labels, **labels}, verdict=verdict
        )
        for s, text, verdict in zip(answers.sampled, answers.texts, answers.verdicts, strict=True)
    ]


def _readings(answers: Sequence[Answers], further: Sequence[Answers]) -> dict[str, tuple[float, ...]]:
    found = {
        "episode_starts": tuple(float(a.place.tokens) for a in answers),
        "forced_success": tuple(a.success for a in answers),
        "forced_tokens": tuple(a.tokens for a in answers),
    }
    if further:
        found["extended_success"] = tuple(a.success for a in further)
        found["extended_tokens"] = tuple(a.tokens for a in further)
    return found
