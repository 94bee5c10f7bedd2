"""Attempts of several turns: what they store, what they earn, and that a growing history is what was sampled from."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import torch

from hone.core.batch import collect
from hone.core.errors import RecipeError, TaskError
from hone.core.forest import pack
from hone.core.rewarded import with_verdicts
from hone.core.stages import Request
from hone.core.trajectory import Segment
from hone.core.units import units
from hone.episodes import Turns
from hone.training.rollouts import run_episodes
from played import attempts, context


def test_a_history_is_prompt_action_observation_and_so_on_to_the_end_of_the_attempt():
    of = context()
    for t in attempts(of, Turns("history")):
        kinds = [s.kind for s in t.segments]
        assert kinds == ["prompt", "action", *["observation", "action"] * (t.num_actions - 1)]
        world = of.task.start(t.problem)
        texts = ["".join(of.roles["policy"].policy.decode(s.tokens)) for s in t.segments]
        assert texts[0] == world.state
        for action, seen in zip(texts[1::2], [*texts[2::2], None]):
            step = world.step(action)
            assert seen is None or seen == step.observation
        assert step.done
        assert t.text == " ".join(texts[1::2])


def test_the_logprobs_of_a_history_are_those_of_encoding_its_text_again():
    of = context()
    policy = of.roles["policy"].policy
    for t in attempts(of, Turns("history")):
        sampled = np.concatenate([s.logprobs for s in t.segments if s.logprobs is not None])
        with torch.no_grad():
            scored = policy.score(pack([t])).logprobs.numpy()
        whole = "".join(policy.decode(s.tokens) for s in t.segments)
        ids = torch.tensor(policy.tokenizer(whole)["input_ids"])
        with torch.no_grad():
            logits = policy.model(ids[None]).logits[0]
        places = np.cumsum([len(s.tokens) for s in t.segments])[:-1][::2]  # of the actions in the whole text
        support = torch.tensor(policy.support)
        again = []
        for place in places:
            row = logits[place - 1][support].log_softmax(-1)
            again.append(float(row[(support == ids[place]).nonzero()[0, 0]]))
        assert np.allclose(sampled, again, atol=1e-4)
        assert np.allclose(scored, again, atol=1e-4)


def test_every_decision_of_the_state_form_answers_the_present_state_alone():
    of = context()
    found = attempts(of, Turns("state"), count=2, problems=2)
    policy = of.roles["policy"].policy
    for group in (0, 1):
        for attempt in (0, 1):
            mine = [t for t in found if (t.labels["group"], t.labels["attempt"]) == (group, attempt)]
            assert [t.labels["turn"] for t in mine] == list(range(len(mine)))
            world = of.task.start(mine[0].problem)
            for t in mine:
                prompt, action = t.segments
                assert policy.decode(prompt.tokens) == world.state
                world.step(policy.decode(action.tokens))
            assert len({t.text for t in mine}) == 1
            assert len({t.verdict.reward for t in mine}) == 1
    numbers = [t.labels["rollout"] for t in found if t.labels["group"] == 0]
    assert numbers == list(range(len(numbers)))


def test_attempts_are_the_units_of_credit():
    of = context()
    found = attempts(of, Turns("state"), count=3)
    batch = with_verdicts(collect(found), [t.verdict for t in found])
    assert len(units(batch).first) == 3


def test_states_that_attempts_of_a_group_share_are_stored_once():
    found = attempts(context(), Turns("state"), count=3)
    prompts = {t.segments[0] for t in found}
    assert len(prompts) == len({t.segments[0].tokens.tobytes() for t in found}) < len(found)


@pytest.mark.parametrize("form", ["history", "state"])
def test_an_attempt_depends_on_its_own_noise_and_not_on_what_runs_beside_it(form):
    alone = attempts(context(), Turns(form), count=1)
    among = attempts(context(), Turns(form), count=4, problems=2)
    assert alone[0].text == among[0].text
    texts = {(t.labels["group"], t.labels["attempt"]): t.text for t in among}
    assert len(set(texts.values())) > 1
    assert [t.text for t in attempts(context(), Turns(form), count=4, problems=2)] == [t.text for t in among]


@pytest.mark.parametrize("form", ["history", "state"])
def test_what_an_attempt_earns_is_what_the_task_says_of_its_text(form):
    of = context(environment="key_door", settings={"length": 5, "horizon": 40}, discount=0.9)
    found = attempts(of, Turns(form), count=12)
    for t in found:
        said = of.task.verify(t.problem, t.text)
        assert t.verdict.reward == pytest.approx(said.reward)
        assert t.verdict.parts == said.parts
    assert {t.verdict.reward > 0 for t in found} == {True, False} or len({t.text for t in found}) > 1
    for t in attempts(of, Turns(form).evaluation, count=12):
        assert t.verdict.reward == float(t.verdict.reward > 0)


@pytest.mark.parametrize("form", ["history", "state"])
def test_an_evaluation_has_one_trajectory_an_attempt_with_all_its_decisions(form):
    of = context()
    plain, evaluated = attempts(of, Turns(form)), attempts(of, Turns(form).evaluation)
    assert [t.labels["rollout"] for t in evaluated] == [0, 1, 2]
    assert [t.text for t in evaluated] == list(dict.fromkeys(t.text for t in plain))
    assert [t.num_actions for t in evaluated] == [len(t.text.split()) for t in evaluated]


def test_later_rounds_are_numbered_on_and_have_noise_of_their_own():
    of = context()
    first = attempts(of, Turns("state"), count=2)
    request = Request(of.task.problem(0), 2, group=0, drawn=tuple(first))
    more = run_episodes([request], Turns("state"), of, of.roles["policy"].engine)
    assert {t.labels["attempt"] for t in more} == {2, 3}
    assert more[0].labels["rollout"] == len(first)
    assert {t.text for t in more}.isdisjoint({t.text for t in first})


def test_an_answer_that_is_no_action_ends_an_attempt_without_reward():
    of = context()
    of = replace(of, params=replace(of.params, support=()))  # the whole vocabulary of an untrained model
    found = attempts(of, Turns("history"), count=6)
    ended = [t for t in found if t.verdict.detail]
    assert ended
    for t in ended:
        assert (t.verdict.reward, t.finish_reason) == (0.0, "length")
        assert t.num_actions == len(t.text.split()) + 1


def test_actions_of_another_environment_and_tasks_without_one_are_refused():
    with pytest.raises(RecipeError, match=r"actions: \[L, R\]"):
        attempts(context("LRF"), Turns("state"))
    with pytest.raises(TaskError, match="no environment"):
        attempts(context(task="arithmetic", operations=1), Turns("state"))


def test_the_rewards_of_a_step_may_ask_a_model_when_no_episode_is_open():
    of = context()
    prompt = Segment(of.encode("k.a.d>"), "prompt")

    async def ask() -> list[str]:
        async def one(i: int) -> str:
            (answer,) = await of.role("policy").sample(prompt, 1, of.params, of.noise.child(i))
            return of.decode(answer.segment.tokens)

        return await of.together([one(i) for i in range(8)])

    said = asyncio.run(ask())
    assert set(said) <= {"L", "R"}
    assert said == asyncio.run(ask())


def test_probabilities_of_actions_are_the_softmax_over_their_logits_alone():
    of = context()
    policy = of.roles["policy"].policy
    prompts = [Segment(of.encode(text), "prompt") for text in ("k.a.d>", "A...d>")]
    found = asyncio.run(of.role("policy").act(prompts, ("R", "L")))
    space = [int(policy.encode_text(a)[0]) for a in "RL"]
    for row, prompt in zip(found, prompts):
        with torch.no_grad():
            logits = policy.model(torch.from_numpy(prompt.tokens.astype(np.int64))[None]).logits[0, -1]
        assert torch.allclose(row, logits[space].log_softmax(-1), atol=1e-5)
    assert policy.support == tuple(int(policy.encode_text(a)[0]) for a in "LR")
