from __future__ import annotations

import asyncio

from hone.core.problem import Problem, Verdict
from hone.core.verifying import verify_all

PROBLEMS = [Problem(prompt="?", answer=i, task="t") for i in range(3)]


class One:
    def verify(self, problem, text):
        return Verdict(float(text == str(problem.answer)), detail="one by one")

    def parse(self, text):
        return text

    def same(self, a, b):
        return a == b

    def key(self, answer):
        return answer


class Many(One):
    async def verify_all(self, problems, texts, trainer_state):
        return [Verdict(trainer_state["global_step"], detail=t) for t in texts]


def test_all_at_once_where_it_can_else_one_after_another() -> None:
    one = asyncio.run(verify_all(One(), PROBLEMS, ["0", "x", "2"], {"global_step": 7}))
    assert [(v.reward, v.detail) for v in one] == [
        (1.0, "one by one"),
        (0.0, "one by one"),
        (1.0, "one by one"),
    ]
    many = asyncio.run(verify_all(Many(), PROBLEMS, ["0", "x", "2"], {"global_step": 7}))
    assert [(v.reward, v.detail) for v in many] == [(7, "0"), (7, "x"), (7, "2")]
