"""Verdicts that are reached while the engine samples are those that would have been reached after it."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import hone
from hone.core.noise import NoiseKey
from hone.core.problem import Problem, Verdict
from hone.core.sampling import Completion, SampleRequest, SamplingParams
from hone.core.stages import Request
from hone.core.trajectory import Segment, Trajectory
from hone.engines import barrier
from hone.engines.barrier import BarrierEngine
from hone.rewards import CallableJudge, CallableReward, TaskJudge
from hone.training.early_judge import EarlyJudge
from hone.training.rollouts import episodes

REWARDS = Path(__file__).parent / "rewards.py"
PATIENCE = 30.0
PROBLEMS = [Problem("a", "1", "t"), Problem("b", "2", "t")]


def trajectory(problem: Problem, text: str) -> Trajectory:
    leaf = Segment(np.zeros(1, np.int32), "prompt")
    return Trajectory(problem, leaf, text, "stop", {"group": 0, "rollout": 0})


class Counting:
    """A judge whose n-th verdict is worth n, so that a second call for a rollout shows."""

    independent = True
    aside = False

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def score(self, problems, texts, trainer_state):
        self.texts += texts
        if "boom" in texts:
            raise ValueError("boom")
        return [Verdict(float(len(self.texts)))]

    def same(self, a, b):
        return a == b

    def key(self, answer):
        return str(answer)


def score(
    judge: EarlyJudge, told: list[Trajectory], asked: list[Trajectory], paused_after: int
) -> list[float]:
    """Verdicts of `asked`, of which `told` were told of early; judging is paused after so many turns of the loop."""

    async def run():
        judge.begin(told)
        for _ in range(paused_after):
            await asyncio.sleep(0)
        await judge.pause()
        return await judge.score([t.problem for t in asked], [t.text for t in asked], {})

    return [v.reward for v in asyncio.run(run())]


@pytest.mark.parametrize("paused_after", [0, 1, 5])
def test_every_rollout_is_judged_once_and_equal_texts_share_nothing(paused_after: int):
    inner = Counting()
    told = [trajectory(PROBLEMS[0], t) for t in "xyx"] + [trajectory(PROBLEMS[1], "x")]
    asked = [*told, trajectory(PROBLEMS[0], "x")]
    rewards = score(EarlyJudge(inner), told, asked, paused_after)
    assert rewards == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert inner.texts == ["x", "y", "x", "x", "x"]
    early = 4 if paused_after else 0
    judge = EarlyJudge(Counting())
    score(judge, told, [], paused_after)
    assert len(judge._judge.texts) == early


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_settling_between_rounds_judges_each_rollout_once(turns: int):
    """Also where a verdict is in flight, and where a later round repeats a text."""
    inner = Counting()
    judge = EarlyJudge(inner)

    async def run():
        found = []
        for texts in ("xy", "xz"):
            told = [trajectory(PROBLEMS[0], t) for t in texts]
            judge.begin(told)
            for _ in range(turns):
                await asyncio.sleep(0)
            found += await judge.settle(told, {})
        return [v.reward for v in found]

    assert asyncio.run(run()) == [1.0, 2.0, 3.0, 4.0]
    assert inner.texts == ["x", "y", "x", "z"]


def test_order_is_that_of_the_question_not_of_the_finish():
    judge = EarlyJudge(TaskJudge(SimpleNamespace(verify=lambda p, t: Verdict(float(ord(t))))))
    told = [trajectory(PROBLEMS[0], t) for t in "cab"]
    assert score(judge, told, sorted(told, key=lambda t: t.text), 3) == [97.0, 98.0, 99.0]


def test_a_judge_that_works_aside_is_asked_for_all_that_wait_at_once():
    class Aside(Counting):
        aside = True

        async def score(self, problems, texts, trainer_state):
            self.texts.append("".join(texts))
            return [Verdict(float(ord(text))) for text in texts]

    inner = Aside()
    told = [trajectory(PROBLEMS[0], t) for t in "cab"]
    asked = [trajectory(PROBLEMS[0], t) for t in "xabcy"]
    assert score(EarlyJudge(inner), told, asked, 1) == [float(ord(text)) for text in "xabcy"]
    assert inner.texts == ["cab", "xy"]


def test_a_verdict_in_flight_is_waited_for_and_the_rest_left():
    class Slow(Counting):
        async def score(self, problems, texts, trainer_state):
            found = await super().score(problems, texts, trainer_state)
            await asyncio.sleep(0.01)
            return found

    judge = EarlyJudge(Slow())
    told = [trajectory(PROBLEMS[0], t) for t in "xyz"]
    score(judge, told, [], 1)
    assert judge._judge.texts == ["x"]
    assert judge.seconds > 0


def test_what_judging_raises_is_raised_when_sampling_has_ended():
    judge = EarlyJudge(Counting())

    async def run():
        judge.begin([trajectory(PROBLEMS[0], "boom")])
        await asyncio.sleep(0)
        await judge.pause()

    with pytest.raises(ValueError, match="boom"):
        asyncio.run(run())


def test_who_may_begin_early():
    def trl(completions, **_):
        return [1.0] * len(completions)

    task = SimpleNamespace(parse=lambda text: None)
    assert TaskJudge(task).independent
    assert CallableJudge(CallableReward(lambda text, answer: 1.0), task).independent
    assert CallableJudge(CallableReward(lambda problem, text: 1.0), task).independent
    assert CallableJudge(CallableReward(lambda solution_str: 1.0), task).independent
    assert not CallableJudge(CallableReward(trl), task).independent


def test_a_group_is_judged_while_the_engine_samples_the_others(monkeypatch):
    monkeypatch.setattr(barrier, "check_request", lambda *_: None)
    judged = threading.Event()

    class Engine(BarrierEngine):
        name = "waits for the judge"

        def run(self, requests):
            results = []
            for index in range(len(requests)):
                if index:
                    assert judged.wait(PATIENCE), "the first group was not judged while this call was running"
                results.append([Completion(np.zeros(1, np.int32), np.zeros(1, np.float32), "stop", 0)])
                self.finished(index, results[index])
            return results

        def refresh(self):
            """Nothing to take."""

    engine = Engine(SimpleNamespace(version=0, device=torch.device("cpu")))

    class Episode:
        samples = True

        async def __call__(self, request, context):
            asked = SampleRequest(np.zeros(1, np.int32), 1, SamplingParams(1), context.child(request.group))
            await engine.sample(asked)
            return [trajectory(request.problem, str(request.group))]

    def verify(problem, text):
        assert threading.current_thread() is threading.main_thread()
        judged.set()
        return Verdict(float(text))

    judge = EarlyJudge(TaskJudge(SimpleNamespace(verify=verify)))
    requests = [Request(PROBLEMS[0], 1, group=i) for i in range(3)]

    async def run():
        found = await episodes(requests, Episode(), NoiseKey(0), engine, judge.begin)
        await judge.pause()
        return await judge.score([t.problem for t in found], [t.text for t in found], {})

    assert [v.reward for v in asyncio.run(run())] == [0.0, 1.0, 2.0]


TINY = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 6,
    "problems_per_step": 3,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "steps": 3,
    "max_error_share": 1.0,
    "eval": {"problems": 2, "samples": 1, "k": [1]},
}


def run(out: Path, reward: str):
    return hone.train({**TINY, "reward": f"{REWARDS}:{reward}"}, out=out)


@pytest.mark.parametrize("reward", ["even", "sometimes"])
def test_a_run_is_the_same_with_and_without(reward: str, tmp_path, monkeypatch):
    early = run(tmp_path / "early", reward)
    monkeypatch.setattr(CallableJudge, "independent", False)
    late = run(tmp_path / "late", reward)
    untimed = [
        [{k: v for k, v in line.items() if not k.startswith("time/")} for line in r.metrics()]
        for r in (early, late)
    ]
    assert untimed[0] == untimed[1]
    assert untimed[0][0]["status/ok"] > 0
    assert (early.final / "model.safetensors").read_bytes() == (late.final / "model.safetensors").read_bytes()
    assert all(line["time/reward_overlapped"] >= 0 for line in early.metrics())
    assert all("time/reward_overlapped" not in line for line in late.metrics())


def test_rewards_run_in_the_main_thread_where_signals_work(tmp_path):
    lines = run(tmp_path / "run", "alarmed").metrics()
    assert all(line["status/ok"] == 18 for line in lines)


def test_a_function_over_lists_is_called_once_with_all_rollouts_of_a_step(tmp_path):
    lines = run(tmp_path / "run", "how_many").metrics()
    assert [line["reward/mean"] for line in lines] == [18.0, 18.0, 18.0]


def test_rollouts_that_have_their_verdict_are_not_judged():
    judge = Counting()
    early = EarlyJudge(judge)
    done = dataclasses.replace(trajectory(PROBLEMS[0], "played"), verdict=Verdict(1.0))

    async def tell() -> None:
        early.begin([done, trajectory(PROBLEMS[1], "open")])
        await asyncio.sleep(0)
        await early.pause()

    asyncio.run(tell())
    assert judge.texts == ["open"]
