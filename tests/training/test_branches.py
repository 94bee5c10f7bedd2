"""Branches inside an episode, frozen models beside the policy, and what both are for."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch

from hone.core.errors import EngineError, RecipeError
from hone.core.sampling import SamplingParams
from hone.core.stages import Request
from hone.core.trajectory import Segment, Trajectory, cut
from hone.recipes.load import resolve
from hone.training.folder import RunFolder
from hone.training.progress import Quiet
from hone.training.rollouts import episodes
from hone.training.session import Session, open_session

RECIPE = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 2, "problems_per_step": 2,
    "steps": 1, "max_completion_length": 8, "device": "cpu", "eval": {"problems": 2},
}  # fmt: skip


def session(tmp_path, **keys) -> Session:
    return open_session(resolve({**RECIPE, **keys})[0], RunFolder(tmp_path / "run"), Quiet())


class Branching:
    """Samples an answer, cuts it, and forks three ways below its first half; both rollouts side by side."""

    samples = True

    def __init__(self, role: str = "policy") -> None:
        self.role = role
        self.seen: list[list[Segment]] = []

    async def __call__(self, request: Request, context) -> list[Trajectory]:
        prompt = Segment(context.encode(request.shown), "prompt")
        return await context.together(
            [self.rollout(request, context, prompt, i) for i in range(request.count)]
        )

    async def rollout(self, request, context, prompt, i) -> Trajectory:
        noise = context.noise.child(request.group, i)
        policy, other = context.role("policy"), context.role(self.role)
        [whole] = await policy.sample(prompt, 1, context.params, noise)
        head = cut(whole.segment, [1])[0] if len(whole.segment.tokens) > 1 else whole.segment
        short = SamplingParams(2)
        branches = [
            *await policy.fork(head, 2, "continue", short, noise.child(1)),
            *await other.fork(head, 2, "terminate", short, noise.child(2), "UD"),
        ]
        self.seen.append([b.segment for b in branches])
        leaf = branches[0].segment
        labels = {"group": request.group, "rollout": i}
        return Trajectory(request.problem, leaf, "", branches[0].finish_reason, labels)


def run(s: Session, episode) -> list[Trajectory]:
    s.engine.refresh()
    context = s.context(1)
    requests = [Request(s.task.problem(i), 2, group=i) for i in range(2)]
    return asyncio.run(episodes(requests, episode, context, s.engine))


def test_branches_share_what_is_before_them_and_say_their_text_once(tmp_path):
    episode = Branching()
    run(session(tmp_path), episode)
    assert len(episode.seen) == 4
    for one, two, three, four in episode.seen:
        assert one.parent is two.parent
        assert one.parent.kind == "action"
        assert three.parent is four.parent
        assert three.parent.kind == "observation"
        assert three.parent.parent is one.parent
        assert three.parent.logprobs is None


def test_noise_decides_what_branches_say(tmp_path):
    s = session(tmp_path)
    first, second = Branching(), Branching()
    run(s, first)
    run(s, second)
    tokens = [sorted(b.tokens.tolist() for each in e.seen for b in each) for e in (first, second)]
    assert tokens[0] == tokens[1]


def test_a_frozen_model_meets_the_same_episodes_and_never_learns(tmp_path):
    s = session(tmp_path, models={"helper": {"model": "micro:new"}})
    helper = s.others["helper"]
    assert helper.engine.schedule is s.engine.schedule
    assert not any(p.requires_grad for p in helper.policy.model.parameters())
    episode = Branching("helper")
    run(s, episode)
    assert len(episode.seen) == 4
    assert s.engine.schedule.live == 0


def test_an_error_in_one_branch_ends_the_others(tmp_path):
    s = session(tmp_path)

    class Broken(Branching):
        async def rollout(self, request, context, prompt, i) -> Trajectory:
            if i == 1 and request.group == 1:
                raise EngineError("Broken.")
            return await super().rollout(request, context, prompt, i)

    with pytest.raises(EngineError, match="Broken"):
        run(s, Broken())
    run(s, Branching())  # nobody waits for anybody who has left


def test_a_fork_says_a_text_exactly_if_its_mode_does(tmp_path):
    role = session(tmp_path).context(1).role("policy")
    leaf = Segment(np.array([3], np.int32), "prompt")
    for mode, text in (("continue", "x"), ("guided", "")):
        with pytest.raises(ValueError, match=mode):
            asyncio.run(role.fork(leaf, 1, mode, SamplingParams(1), None, text))


def test_actions_restrict_sampling_and_scoring_alike(tmp_path):
    s = session(tmp_path, actions=["U", "D", "L"], max_completion_length=1)
    s.engine.refresh()
    context = s.context(1)
    requests = [Request(s.task.problem(i), 16, group=i) for i in range(2)]
    found = asyncio.run(episodes(requests, s.method.episode, context, s.engine))
    assert {t.text for t in found} <= {"U", "D", "L"}
    assert len({t.text for t in found}) > 1
    scored = asyncio.run(context.role("policy").score(found))
    sampled = torch.tensor(np.concatenate([t.leaf.logprobs for t in found]))
    torch.testing.assert_close(scored, sampled, atol=1e-5, rtol=0)


def test_actions_are_one_token_each(tmp_path):
    with pytest.raises(RecipeError, match="`UD` of `actions` is 2 tokens"):
        session(tmp_path, actions=["U", "UD"])


def test_roles_of_the_run_are_taken():
    with pytest.raises(RecipeError, match="role `policy` is the run's own"):
        resolve({**RECIPE, "models": {"policy": {"model": "micro:new"}}})


def test_phases_name_the_models_that_phases_make():
    made = resolve(
        {**RECIPE, "phases": [{}, {}, {"model": "phase-1", "models": {"h": {"model": "phase-2"}}}]}
    )
    assert [r.model for r in made] == ["micro:new", "phase-1", "phase-1"]
    with pytest.raises(RecipeError, match="`phase-2`, which no phase before it makes"):
        resolve({**RECIPE, "phases": [{}, {"model": "phase-2"}]})
