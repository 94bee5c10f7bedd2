"""Measuring how success grows with thinking: the line against forced answers that are counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hone.core.problem import Problem, Verdict
from hone.core.sampling import SamplingParams
from hone.core.trajectory import Segment, Trajectory
from hone.episodes import Thinking
from hone.episodes.segmentation import Segmentation
from hone.recipes.load import resolve
from hone.training import thinking
from hone.training.folder import RunFolder
from hone.training.progress import Quiet
from hone.training.session import open_session
from hone.training.thinking import Thought, measure_thinking

RECIPE = {
    "task": {"name": "two_sum", "numbers": 4}, "model": "micro:new", "num_generations": 4, "problems_per_step": 2,
    "steps": 1, "max_completion_length": 12, "device": "cpu", "eval": {"problems": 2},
}  # fmt: skip
EPISODE = Thinking(
    "#", "\n#", Segmentation("\n"), branches=3, answer_tokens=4, extend=2, extend_tokens=6, words=("\n?",)
)


def trace(success, tokens, extended=()):
    prompt = Segment(np.ones(2, np.int32), "prompt")
    leaf = Segment(np.ones(3, np.int32), "action", prompt, np.zeros(3, np.float32))
    readings = {"forced_success": success, "forced_tokens": tokens}
    if extended:
        readings |= {"extended_success": extended[0], "extended_tokens": extended[1]}
    return Trajectory(Problem("p", 1, "t"), leaf, "", "stop", {"group": 0, "rollout": 0}, readings=readings)


def test_curves_leave_out_what_was_not_measured_and_are_in_order_of_tokens():
    nan = float("nan")
    found = [
        trace((0.0, nan, 1.0), (3.0, 5.0, 9.0), ((0.5,), (14.0,))),
        trace((nan,), (3.0,)),
        trace((0.0, 1.0), (6.0, 5.5)),
    ]
    plain, longer = (Thought(found, {}).curves(extended) for extended in (False, True))
    assert [c.tokens.tolist() for c in plain] == [[3.0, 9.0], [5.5, 6.0]]
    assert [c.success.tolist() for c in plain] == [[0.0, 1.0], [1.0, 0.0]]
    assert longer[0].tokens.tolist() == [3.0, 9.0, 14.0]
    assert longer[0].success.tolist() == [0.0, 1.0, 0.5]


def test_the_line_is_that_of_the_forced_answers(tmp_path, monkeypatch):
    s = open_session(resolve(RECIPE)[0], RunFolder(tmp_path / "run"), Quiet())
    tokenizer = s.policy.tokenizer
    params = SamplingParams(12, support=(*tokenizer("12+\n#")["input_ids"], tokenizer.eos_token_id))

    class Sums:
        independent, aside = True, False

        async def score(self, problems, texts, trainer_state):
            return [
                Verdict(float("+" in t.partition("#")[0]), answer=t.rpartition("#")[2][:1] or None)
                for t in texts
            ]

        def same(self, a, b):
            return a == b

        def key(self, answer):
            return answer

    seen = []

    def spy(requests, episode, context, engine):
        async def keep():
            seen.extend(await original(requests, episode, context, engine))
            return seen

        return keep()

    original = thinking.episodes
    monkeypatch.setattr(thinking, "episodes", spy)
    line = measure_thinking(
        s.policy, s.engine, s.task, Sums(), params, EPISODE, problems=3, samples=2, cutoffs=[6, 12, 40]
    )
    traces = [t for t in seen if not t.labels.get("terminated")]
    assert len(traces) == 6
    areas = {6: [], 12: [], 40: []}
    for t in traces:
        r = t.readings
        for cutoff, found in areas.items():
            beyond = cutoff > 12
            x = [0.0, *r["forced_tokens"], *(r["extended_tokens"] if beyond else ())]
            y = [0.0, *r["forced_success"], *(r["extended_success"] if beyond else ())]
            order = np.argsort(x, kind="stable")
            grid = np.linspace(0, cutoff, 200_001)
            found.append(np.interp(grid, np.array(x)[order], np.array(y)[order]).mean())
    for cutoff, found in areas.items():
        assert line[f"regret@{cutoff}"]["value"] == pytest.approx(1 - np.mean(found), abs=1e-4)
    assert line["tokens"] == pytest.approx(np.mean([t.num_actions for t in traces]))
    longest = max(len(t.readings["forced_success"]) for t in traces)
    assert len(line["success"]) == len(line["maj@3"]) == longest
    assert line["success"][0] == 0.0  # no sum stands before the first place
    ends = [t.readings["forced_success"][-1] for t in traces]
    assert line["success"][-1] == pytest.approx(np.mean(ends), abs=1e-5)
    assert line["left_out"] == 0
    # The judge goes by what stands before the marker, which the answers of a place share: their majority is any one.
    assert line["maj@3"] == line["success"]


def test_two_measurements_are_the_same(tmp_path):
    s = open_session(resolve(RECIPE)[0], RunFolder(tmp_path / "run"), Quiet())
    short = replace(EPISODE, branches=1, extend=0)
    one, two = (
        measure_thinking(
            s.policy, s.engine, s.task, s.judge, s.params, short, problems=2, samples=1, cutoffs=[12]
        )
        for _ in range(2)
    )
    assert one == two
