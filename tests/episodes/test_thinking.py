"""Thinking and continuation episodes on a tiny model: exact cuts, forks at every place, and what is charged."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import torch

from hone.core.errors import RecipeError
from hone.core.problem import Verdict
from hone.core.sampling import SamplingParams
from hone.core.stages import Request
from hone.core.trajectory import Segment, Trajectory
from hone.episodes import Continuation, SingleTurn, Thinking
from hone.episodes.segmentation import Segmentation
from hone.recipes.load import resolve
from hone.training.charging import reading
from hone.training.folder import RunFolder
from hone.training.progress import Quiet
from hone.training.rollouts import episodes
from hone.training.session import Session, open_session

RECIPE = {
    "task": {"name": "two_sum", "numbers": 4}, "model": "micro:new", "num_generations": 4, "problems_per_step": 2,
    "steps": 1, "max_completion_length": 16, "device": "cpu", "eval": {"problems": 2},
}  # fmt: skip
LINES = Segmentation("\n", episodes=4)
SHORT = {"close": "#", "force": "\n#", "split": LINES, "branches": 3, "answer_tokens": 4}


class Sums:
    """Says that a text is right if a plus stands before its last marker."""

    independent = True
    aside = False

    async def score(self, problems, texts, trainer_state):
        return [Verdict(reward=float("+" in text.rpartition("#")[0])) for text in texts]

    def same(self, a, b):
        return a == b

    def key(self, answer):
        return str(answer)


@pytest.fixture(scope="module")
def s(tmp_path_factory) -> Session:
    return open_session(resolve(RECIPE)[0], RunFolder(tmp_path_factory.mktemp("run") / "run"), Quiet())


def context(s: Session, judge=None):
    """A step whose policy writes little else than what traces are made of."""
    tokenizer = s.policy.tokenizer
    support = (*tokenizer("12+\n#")["input_ids"], tokenizer.eos_token_id)
    found = replace(s.context(1), params=SamplingParams(16, support=support))
    return replace(found, judge=judge) if judge else found


def run(s: Session, episode, count: int = 4, judge=None) -> list[list[Trajectory]]:
    s.engine.refresh()
    requests = [Request(s.task.problem(i), count, group=i) for i in range(3)]
    found = asyncio.run(episodes(requests, episode, context(s, judge), s.engine))
    return [[t for t in found if t.labels["group"] == g] for g in range(3)]


def flat(groups: list[list[Trajectory]]) -> list[Trajectory]:
    return [t for group in groups for t in group]


def said(c, leaf: Segment) -> str:
    """Everything below the prompt, as text."""
    return "".join(c.decode(segment.tokens) for segment in leaf.path()[1:])


def test_traces_are_those_of_a_single_turn_cut_where_their_episodes_end(s):
    c = context(s)
    plain = run(s, SingleTurn())
    thought = run(s, Thinking(**SHORT))
    kinds = set()
    for before, after in zip(flat(plain), flat(thought), strict=True):
        whole = before.leaf.tokens
        assert [int(x) for seg in after.segments[1:] for x in seg.tokens] == whole.tolist()
        assert (before.text, before.finish_reason) == (after.text, after.finish_reason)
        starts = [int(x) for x in after.readings["episode_starts"]]
        thinking, closed, _ = after.text.partition("#")
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        assert starts[-1] == len(thinking)  # a token a character
        wanted = [0, *LINES.cuts(thinking)] + ([len(thinking)] if thinking else [])
        assert starts == wanted
        kinds.add((bool(closed), before.finish_reason, len(starts) > 2))
        assert c.decode(whole[: starts[-1]]) == thinking
    assert {True, False} == {k[0] for k in kinds} == {k[2] for k in kinds}
    assert {"stop", "length"} == {k[1] for k in kinds}


def test_forced_answers_branch_at_every_place_and_are_judged_with_what_stands_before(s):
    c = context(s)
    for group in run(s, Thinking(**SHORT), judge=Sums()):
        prompt = group[0].segments[0]
        assert all(t.segments[0] is prompt for t in group)
        for i, t in enumerate(group):
            starts = [int(x) for x in t.readings["episode_starts"]]
            leaves = t.aside if i == 0 else (*group[0].aside[:3], *t.aside)  # the prompt's answers are shared
            assert len(leaves) == 3 * len(starts)
            for place, start in enumerate(starts):
                branches = leaves[3 * place : 3 * place + 3]
                assert len({id(b.parent) for b in branches}) == 1
                forced = branches[0].parent
                assert forced.kind == "observation"
                assert c.decode(forced.tokens) == "\n#"
                above = forced.parent.path()[1:]
                assert sum(len(x.tokens) for x in above) == start
                assert all(x in t.segments for x in above)  # the trace's own segments, not copies
                texts = [said(c, b) for b in branches]
                rates = [float("+" in text.rpartition("#")[0]) for text in texts]
                assert t.readings["forced_success"][place] == pytest.approx(sum(rates) / 3)
                assert t.readings["forced_tokens"][place] == pytest.approx(
                    start + sum(len(b.tokens) for b in branches) / 3
                )


def test_a_cut_trace_has_the_logprobs_of_the_whole(s):
    found = flat(run(s, Thinking(**SHORT)))
    whole = []
    for t in found:
        tokens = torch.cat([torch.as_tensor(x.tokens) for x in t.segments[1:]]).numpy()
        logprobs = torch.cat([torch.as_tensor(x.logprobs) for x in t.segments[1:]]).numpy()
        whole.append(replace(t, leaf=Segment(tokens, "action", t.segments[0], logprobs)))
    assert max(len(t.segments) for t in found) > 3
    role = context(s).role("policy")
    cut, uncut = (asyncio.run(role.score(x)) for x in (found, whole))
    torch.testing.assert_close(cut, uncut, rtol=0, atol=1e-5)


def test_kept_answers_are_trajectories_of_parts_of_their_own(s):
    for group in run(s, Thinking(**SHORT, keep_answers=True), judge=Sums()):
        traces, answers = group[:4], group[4:]
        assert [t.labels["rollout"] for t in group] == list(range(len(group)))
        assert not any(t.aside for t in group)
        assert not any("part" in t.labels or t.labels.get("terminated") for t in traces)
        places = sum(len(t.readings["episode_starts"]) - 1 for t in traces) + 1
        assert len(answers) == 3 * places
        by_part: dict[int, list[Trajectory]] = {}
        for t in answers:
            assert t.labels["terminated"]
            by_part.setdefault(t.labels["part"], []).append(t)
        assert sorted(by_part) == list(range(1, places + 1))
        for same in by_part.values():
            trace, place = same[0].labels["trace"], same[0].labels["place"]
            mean = sum(t.verdict.reward for t in same) / 3
            assert mean == pytest.approx(traces[trace].readings["forced_success"][place])


def test_everything_that_is_sampled_is_charged(s):
    aside = flat(run(s, Thinking(**SHORT)))
    kept = flat(run(s, Thinking(**SHORT, keep_answers=True)))
    assert reading(aside).predictions == reading(kept).predictions
    bare = [replace(t, aside=()) for t in aside]
    forced = sum(len(leaf.tokens) for t in aside for leaf in t.aside)
    assert reading(aside).predictions == reading(bare).predictions + forced


def test_budget_forcing_goes_on_where_thinking_ended(s):
    c = context(s)
    longer = Thinking(**SHORT, extend=3, extend_tokens=5, words=("\n?", "\n??"))
    for before, after in zip(run(s, Thinking(**SHORT)), run(s, longer), strict=True):
        for plain, t in zip(before, after, strict=True):
            assert t.readings["episode_starts"] == plain.readings["episode_starts"]
            assert t.text == plain.text
            assert len(t.readings["extended_success"]) == 3
            tokens = t.readings["extended_tokens"]
            assert tokens[0] > t.readings["episode_starts"][-1]
            ends = [said(c, leaf) for leaf in t.aside[-9::3]]
            for i, text in enumerate(ends):
                thinking, _, _ = text.rpartition("\n#")
                assert "#" not in thinking.removeprefix(plain.text.partition("#")[0])
                assert thinking.count("?") == [1, 3, 4][i]
                assert thinking.startswith(plain.text.partition("#")[0] + "\n?")


def test_trimmed_traces_end_where_success_was_first_highest(s):
    c = context(s)
    trimmed = 0
    plain = flat(run(s, Thinking(**SHORT), judge=Sums()))
    for before, t in zip(plain, flat(run(s, Thinking(**SHORT, trim=True), judge=Sums())), strict=True):
        success = before.readings["forced_success"]
        best = success.index(max(success))
        if best == len(success) - 1 or max(success) == 0:
            assert t.text == before.text
            continue
        trimmed += 1
        assert t.readings["forced_success"] == success[: best + 1]
        place = int(before.readings["episode_starts"][best])
        thinking, _, answer = t.text.partition("#")
        assert thinking == before.text[:place]
        assert all(x.kind == "action" for x in t.segments[1:])
        assert said(c, t.leaf) == thinking + "#" + answer
        assert any(said(c, leaf) == thinking + "\n#" + answer for u in plain for leaf in u.aside)
    assert trimmed >= 2


def test_continuations_and_answers_share_a_prefix_without_loss(s):
    c = context(s)
    lengths = set()
    for group in run(s, Continuation("#", "\n#", LINES, answer_tokens=4), count=6):
        assert [t.labels["terminated"] for t in group] == [1, 1, 1, 0, 0, 0]
        prefix = group[3].leaf.parent
        lengths.add(prefix.kind)
        assert all(t.leaf.parent is prefix for t in group[3:])
        assert all(t.leaf.parent.parent is prefix for t in group[:3])
        assert all(t.text == said(c, t.leaf) for t in group)
        assert all(t.num_actions == len(t.leaf.tokens) for t in group)  # nothing else carries loss
        before = int(group[0].readings["prefix_tokens"][0])
        assert before == (len(prefix.tokens) if prefix.kind == "observation" else 0)
        assert all(before + t.num_actions <= 16 for t in group[3:])
        (trace,) = group[0].aside
        whole = said(c, trace)
        thinking = whole.partition("#")[0]
        assert before in (0, *LINES.cuts(thinking))
        assert whole.startswith(said(c, prefix) if before else "")
    assert lengths == {"prompt", "observation"}


def test_a_later_round_goes_on_from_the_prefix_of_the_first(s):
    s.engine.refresh()
    episode = Continuation("#", "\n#", LINES, answer_tokens=4)
    first = run(s, episode)[1]
    request = Request(s.task.problem(1), 2, group=1, drawn=tuple(first))
    more = asyncio.run(episodes([request], episode, context(s), s.engine))
    assert more[1].leaf.parent is first[2].leaf.parent
    assert [t.labels["rollout"] for t in more] == [4, 5]
    assert more[1].text.startswith(
        said(context(s), first[2].leaf.parent) if first[2].leaf.parent.parent else ""
    )


def test_one_rollout_cannot_be_compared(s):
    with pytest.raises(RecipeError, match="one rollout"):
        run(s, Continuation("#", "\n#", LINES), count=1)


@pytest.mark.parametrize(
    "options",
    [{"close": ""}, {"force": ""}, {"branches": 0}, {"extend": -1}, {"words": ()}, {"answer_tokens": 0}],
)
def test_what_cannot_be_meant_is_refused(options):
    with pytest.raises(RecipeError):
        Thinking(**options)
