"""The warm start: an abstraction, an answer that follows it, and a plain answer, from one demonstration."""

from __future__ import annotations

import pytest

from hone.core.errors import TaskError
from hone.core.parts import Part
from hone.core.problem import Problem
from hone.core.stages import Request
from hone.episodes import AbstractionDemonstration
from hone.tasks import make
from hone.training.rollouts import run_episodes
from two_levels import micro_context

PROMPTS = {"abstraction_prompt": "{problem}?", "solution_prompt": "{problem}{abstraction}>"}


@pytest.mark.parametrize("name", ["maze", "countdown", "arithmetic", "strategy"])
def test_what_is_followed_is_what_is_written(name):
    task = make(name)
    context = micro_context(task)
    problem = task.problem(3)
    episode = AbstractionDemonstration(mix={"direct": 1.0}, **PROMPTS)
    found = run_episodes([Request(problem, 2, group=0)], episode, context, None)
    tokenizer = context.roles["policy"].policy.tokenizer
    assert [t.labels["part"] for t in found] == [Part.ABSTRACTION, Part.SOLUTION, Part.BARE] * 2
    assert [t.labels["rollout"] for t in found] == list(range(6))
    hint, solution, bare = found[:3]
    prompts = [tokenizer.decode(t.segments[0].tokens) for t in found[:3]]
    assert prompts == [f"{problem.prompt}?", f"{problem.prompt}{hint.text}>", problem.prompt]
    assert solution.text == bare.text
    assert hint.text == task.outline(problem, solution.text) != ""
    assert len(hint.text) < len(solution.text)
    assert task.verify(problem, solution.text).reward == 1


def test_outlines():
    problem = make("maze").problem(0)
    for name, text, outline in [
        ("maze", " DDDDRRUU\n", "dru"),
        ("maze", "", ""),
        ("countdown", "3*7=21\n21+12=33\n#3*7+12", "3*7"),
        ("arithmetic", "4*2=8\n3+8=11\n#11", "4*2"),
        ("arithmetic", "#11", ""),
    ]:
        assert make(name).outline(problem, text) == outline


def test_a_file_brings_its_own_and_others_have_none():
    class Plain:
        name = "plain"

    context = micro_context(Plain())
    written = Problem("2+2=", "4", "plain", oracle="4", meta={"columns": {"abstraction": " add them "}})
    found = run_episodes([Request(written, 1, group=0)], AbstractionDemonstration(**PROMPTS), context, None)
    assert [t.text for t in found] == ["add them", "4", "4"]
    bare = Problem("2+2=", "4", "plain", oracle="4")
    with pytest.raises(TaskError, match="no abstractions to learn from"):
        run_episodes([Request(bare, 1, group=0)], AbstractionDemonstration(**PROMPTS), context, None)
