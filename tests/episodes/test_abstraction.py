"""The episode with abstractions: what is asked of whom, in which order, and what the trajectories say of themselves."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hone.core.errors import RecipeError
from hone.core.noise import NoiseKey
from hone.core.parts import Part
from hone.core.stages import Request, Sampled
from hone.core.trajectory import Segment
from hone.episodes import Abstraction, Cheatsheet
from hone.episodes.templates import fill
from hone.tasks import make
from hone.training.rollouts import run_episodes
from two_levels import micro_context

SHORT = {
    "abstraction_prompt": "{problem}?",
    "solution_prompt": "{problem}{abstraction}>",
    "blind_prompt": "{abstraction}>",
    "max_abstraction_length": 4,
}
TASK = make("maze", sizes=5)


def sampled(episode, context, count=8, groups=2):
    requests = [Request(TASK.problem(i), count, group=i) for i in range(groups)]
    return run_episodes(requests, episode, context, context.roles["policy"].engine)


def prompt_text(trajectory, context):
    return context.roles["policy"].policy.tokenizer.decode(trajectory.segments[0].tokens)


def test_hints_then_solutions_with_each_then_bare_and_blind_ones():
    context = micro_context(TASK)
    episode = Abstraction(abstractions=2, bare=2, blind=1, num_generations=8, **SHORT)
    found = sampled(episode, context)
    for group in range(2):
        mine = [t for t in found if t.labels["group"] == group]
        shown = TASK.problem(group).prompt
        assert [t.labels["rollout"] for t in mine] == list(range(len(mine)))
        hints = [t for t in mine if t.labels["part"] == Part.ABSTRACTION]
        assert [t.labels["item"] for t in hints] == [0, 1]
        assert all(prompt_text(t, context) == f"{shown}?" and t.num_actions <= 4 for t in hints)
        counts = Counter((t.labels["part"], t.labels["item"]) for t in mine)
        assert counts[Part.BARE, 2] == 2
        for item, hint in enumerate(hints):
            with_it = [t for t in mine if t.labels["item"] == item and t.labels["part"] != Part.ABSTRACTION]
            solutions = [t for t in with_it if t.labels["part"] != Part.BLIND]
            assert len(solutions) == 3
            wanted = f"{shown}{hint.text}>" if hint.text else shown
            assert {prompt_text(t, context) for t in solutions} == {wanted}
            assert {t.labels["part"] for t in solutions} == {Part.SOLUTION if hint.text else Part.BARE}
            blind = [t for t in with_it if t.labels["part"] == Part.BLIND]
            assert [prompt_text(t, context) for t in blind] == ([f"{hint.text}>"] if hint.text else [])


def test_the_same_noise_gives_the_same_rollouts_in_any_company():
    episode = Abstraction(abstractions=2, bare=2, num_generations=8, **SHORT)
    alone = sampled(episode, micro_context(TASK), groups=1)
    beside = [t for t in sampled(episode, micro_context(TASK), groups=3) if t.labels["group"] == 0]
    assert [t.text for t in alone] == [t.text for t in beside]
    other = replace(micro_context(TASK), noise=NoiseKey(1))
    assert [t.text for t in alone] != [t.text for t in sampled(episode, other, groups=1)]


@pytest.mark.parametrize("role", ["abstractor", "solver"])
def test_a_frozen_model_plays_its_role_and_signs_for_it(role):
    episode = Abstraction(abstractions=2, bare=2, num_generations=8, models=(role,), **SHORT)
    plain = replace(episode, models=())
    found = sampled(episode, micro_context(TASK, extra=[role]))
    own = {t.labels["part"] for t in found if t.segments[-1].role == "policy"}
    hints = {Part.ABSTRACTION}
    assert own == ({Part.SOLUTION, Part.BARE} if role == "abstractor" else hints)
    before = sampled(plain, micro_context(TASK))
    changed = [
        a.text != b.text
        for a, b in zip(found, before)
        if (a.labels["part"] in hints) == (role == "abstractor")
    ]
    assert any(changed)


class Silent:
    """A context whose model says nothing but the end token."""

    def __init__(self, inner):
        self.inner, self.params, self.noise = inner, inner.params, inner.noise

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def role(self, name):
        inner = self.inner

        class Role:
            async def sample(self, prefix, n, params, noise):
                tokens, zeros = inner.encode_answer(""), [0.0]
                import numpy as np

                leaf = Segment(tokens, "action", prefix, np.array(zeros * len(tokens), np.float32))
                return [Sampled(leaf, "stop")] * n

        return Role()


def test_an_empty_abstraction_is_none():
    """Its solutions are bare ones: they see the plain prompt, and nobody tries to read an answer from it."""
    context = Silent(micro_context(TASK))
    episode = Abstraction(abstractions=2, bare=0, blind=3, num_generations=4, **SHORT)
    engine = context.roles["policy"].engine
    found = run_episodes([Request(TASK.problem(0), 4, group=0)], episode, context, engine)
    assert Counter(t.labels["part"] for t in found) == {Part.ABSTRACTION: 2, Part.BARE: 4}
    bare = [t for t in found if t.labels["part"] == Part.BARE]
    assert {prompt_text(t, context) for t in bare} == {TASK.problem(0).prompt}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"abstractions": 3, "bare": 0, "num_generations": 16}, "not shared evenly"),
        ({"abstractions": 4, "bare": 4, "num_generations": 4}, "not shared evenly"),
        ({"abstractions": 0}, "at least 1"),
        ({"abstraction_prompt": "say something"}, "without {problem}"),
        ({"abstraction_prompt": "{problem}{abstraction}"}, "with {abstraction}"),
        ({"solution_prompt": "{problem}"}, "without {abstraction}"),
        ({"blind_prompt": "{problem}{abstraction}"}, "with {problem}"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(RecipeError, match=words.replace("{", r"\{").replace("}", r"\}")):
        Abstraction(**options)


def test_templates_fill_the_last_message_and_leave_braces_alone():
    chat = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "what is {abstraction}?"})
    found = fill("{problem} Note: {abstraction}", chat, {"{abstraction}": "use {problem}"})
    assert found == (chat[0], {"role": "user", "content": "what is {abstraction}? Note: use {problem}"})


@pytest.mark.parametrize(
    ("text", "solution"),
    [
        ("<cheatsheet>go down</cheatsheet>\nDDR", "DDR"),
        (" <cheatsheet></cheatsheet> DDR ", "DDR"),
        ("DDR", ""),
        ("<cheatsheet>go down DDR", ""),
        ("so: <cheatsheet>x</cheatsheet>DDR", ""),
    ],
)
def test_the_joint_form_is_judged_by_what_follows_the_abstraction(text, solution):
    assert Cheatsheet().solution(text) == solution


def test_the_joint_form_asks_in_its_own_words_and_is_evaluated_so():
    context = micro_context(TASK)
    episode = Cheatsheet(prompt="{problem}!", opening="U", closing="D")
    found = sampled(episode, context, count=3, groups=1)
    assert len(found) == 3
    assert {prompt_text(t, context) for t in found} == {TASK.problem(0).prompt + "!"}
    assert episode.evaluation is episode


def test_a_frozen_model_with_another_tokenizer_is_refused():
    context = micro_context(TASK)
    other = copy.copy(context.roles["policy"])
    policy = copy.copy(other.policy)
    policy.encode = lambda prompt: np.array([1], np.int32)
    roles = {**context.roles, "solver": replace(other, policy=policy)}
    episode = Abstraction(abstractions=2, bare=2, num_generations=8, models=("solver",), **SHORT)
    with pytest.raises(RecipeError, match="`solver` has another tokenizer"):
        sampled(episode, replace(context, roles=roles))
