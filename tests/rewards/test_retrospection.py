"""Retrospection: who says what of a decision, and the targets that follow from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import torch

from hone.core.batch import Batch, collect
from hone.core.environment import hinted
from hone.core.errors import RecipeError, RewardError, TaskError
from hone.core.rewarded import with_verdicts
from hone.core.trajectory import Segment
from hone.episodes import Turns
from hone.rewards import Retrospection
from hone.rewards.reflectors import Learned, Lived, Model, Oracle, asked, check_advice, hindsight
from played import attempts, context


def sampled(of, count: int = 3, problems: int = 2) -> Batch:
    found = attempts(of, Turns("state"), count, problems)
    return with_verdicts(collect(found), [t.verdict for t in found])


def written(piece: Retrospection, of, batch: Batch) -> Batch:
    return asyncio.run(piece(batch, of))


def test_targets_of_every_decision_against_the_plain_formula():
    of = context()
    batch = sampled(of)
    out = written(Retrospection(alpha=0.3), of, batch)
    policy = of.roles["policy"].policy
    worlds: dict[tuple[int, int], object] = {}
    for t, target in zip(batch.trajectories, out.targets):
        world = worlds.setdefault((t.labels["group"], t.labels["attempt"]), of.task.start(t.problem))
        shown = [world.state, hinted(world.state, "+" + world.advice())]
        prompts = [Segment(policy.encode(text), "prompt") for text in shown]
        before, after = asyncio.run(of.role("policy").act(prompts, world.actions))
        wanted = torch.softmax(0.7 * before + 0.3 * after, -1)
        assert torch.allclose(target, wanted, atol=1e-5)
        world.step(t.text.split()[t.labels["turn"]])


def test_the_order_of_the_batch_does_not_matter():
    of = context()
    batch = sampled(of)
    order = list(range(len(batch.trajectories)))[::-1]
    straight = written(Retrospection(), of, batch).targets
    turned = written(Retrospection(), of, batch.select(order)).targets
    assert torch.allclose(turned, straight[order], atol=1e-6)


def test_a_learned_reflector_that_has_nothing_to_say_leaves_the_policy_as_target():
    of = context()
    batch = sampled(of)
    trajectories = tuple(replace(t, verdict=replace(t.verdict, reward=0.0)) for t in batch.trajectories)
    out = written(Retrospection(reflector="learned"), of, replace(batch, trajectories=trajectories))
    assert out.readings["retrospection/heard"] == 0
    assert out.readings["retrospection/target_kl"] == pytest.approx(0, abs=1e-6)


def test_a_reader_s_own_ratio_moves_the_policy():
    of = context()
    roles = {**of.roles, "reader": of.roles["policy"]}
    batch = sampled(of)
    own = written(Retrospection(), of, batch).targets
    other = written(Retrospection(reader="reader"), replace(of, roles=roles), batch).targets
    assert torch.allclose(own, other, atol=1e-6)  # the same model in both roles


def test_a_language_model_is_asked_at_every_decision_and_its_words_are_read():
    of = context()
    batch = sampled(of, count=2, problems=1)
    out = written(Retrospection(reflector="model", feedbacks=2, feedback_tokens=3), of, batch)
    assert out.targets.shape == (len(batch.trajectories), 2)
    assert torch.allclose(out.targets.sum(-1), torch.ones(len(out.targets)), atol=1e-5)
    again = written(Retrospection(reflector="model", feedbacks=2, feedback_tokens=3), of, batch)
    assert torch.equal(out.targets, again.targets)


LIVED = [
    Lived(("k.a>", "ka.>"), ("L", "L"), 1.0, ("L", "L")),
    Lived(("k.a>", "k..>"), ("R", "R"), 0.0, ("L", "L")),
]


def said(reflector, attempts=LIVED, number: int = 1, **options: object) -> list[list[str]]:
    return asyncio.run(reflector(attempts, ("L", "R"), number, context(**options))).texts


def test_an_oracle_is_right_as_often_as_it_says():
    assert said(Oracle(), number=2) == [["+L", "+L"]] * 4
    assert said(Oracle(0.0)) == [["+R"]] * 4
    many = [Lived(("s>",) * 2000, ("L",) * 2000, 0.0, ("L",) * 2000)]
    right = [text == "+L" for (text,) in said(Oracle(0.7), many)]
    assert sum(right) / 2000 == pytest.approx(0.7, abs=0.04)
    assert said(Oracle(0.7), many) == said(Oracle(0.7), many)
    assert said(Oracle(0.7), many) != said(Oracle(0.7), many, seed=1)


def test_hindsight_names_the_action_of_the_attempts_that_went_well():
    assert hindsight(LIVED, ("L", "R")) == ["+L"] * 4
    swapped = [replace(lived, earned=1 - lived.earned) for lived in LIVED]
    assert hindsight(swapped, ("L", "R")) == ["+R"] * 4
    equal = [replace(lived, earned=0.0) for lived in LIVED]
    assert hindsight(equal, ("L", "R")) == [""] * 4
    assert said(Learned(), equal, number=3) == [[]] * 4
    lone = [LIVED[0], replace(LIVED[0], earned=0.0)]  # one action alone was tried
    assert hindsight(lone, ("L", "R")) == [""] * 4


def test_hindsight_tells_states_apart():
    lived = [
        Lived(("near>", "far->"), ("L", "R"), 1.0),
        Lived(("near>", "far->"), ("L", "R"), 1.0),
        Lived(("near>", "far->"), ("R", "L"), 0.0),
        Lived(("near>", "far->"), ("R", "L"), 0.0),
    ]
    assert hindsight(lived, ("L", "R")) == ["+L", "+R"] * 4


def test_a_language_model_sees_the_state_what_followed_and_what_it_earned():
    assert asked(LIVED[0], 1, "") == "ka.|L|1?"
    (message,) = asked(LIVED[1], 0, "What should have been done?")
    assert message == {"role": "user", "content": "What should have been done?\nk.a|R R|0?"}
    texts = said(Model(tokens=2), number=2)
    assert [len(each) for each in texts] == [2] * 4
    assert all(len(text) <= 2 and "\n" not in text for each in texts for text in each)


def test_what_is_no_decision_of_its_own_is_refused():
    of = context()
    found = attempts(of, Turns("history"))
    batch = with_verdicts(collect(found), [t.verdict for t in found])
    with pytest.raises(RewardError, match="form: state"):
        written(Retrospection(), of, batch)
    with pytest.raises(TaskError, match="does not know its best action"):
        check_advice(object(), "gym")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 1.5}, "alpha"),
        ({"accuracy": -0.1}, "accuracy"),
        ({"feedbacks": 0}, "feedbacks"),
        ({"reflector": "orakle"}, "reflector"),
        ({"feedback_tokens": 0}, "feedback_tokens"),
        ({"reflector": "endpoint"}, "endpoint"),
        ({"reflector": "endpoint", "endpoint": "localhost:8000", "endpoint_model": "m"}, "endpoint"),
        ({"reflector": "endpoint", "endpoint": "http://localhost:8000/v1"}, "endpoint_model"),
        ({"endpoint": "http://localhost:8000/v1"}, "endpoint"),
        ({"endpoint_model": "m"}, "endpoint_model"),
    ],
)
def test_wrong_options_are_refused_by_name(options, key):
    with pytest.raises(RecipeError, match=f"`{key}`"):
        Retrospection(**options)
