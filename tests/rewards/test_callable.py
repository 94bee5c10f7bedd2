from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hone.core.errors import RewardError
from hone.core.problem import Problem, Verdict
from hone.rewards.callable import CallableReward

PROBLEMS = [
    Problem(prompt=f"q{i}", answer=str(i), task="t", meta={"columns": {"answer": str(i), "level": i}})
    for i in range(3)
]


def score(
    source: Callable[..., Any] | str, texts: list[str], problems: list[Problem] | None = None
) -> list[Verdict]:
    reward = CallableReward(source, seconds=0.2)
    return asyncio.run(reward.score(PROBLEMS if problems is None else problems, texts, {"step": 7}))


def test_a_trl_reward_gets_lists_once_and_every_column() -> None:
    calls: list[dict[str, Any]] = []

    def reward(completions: list[str], **kwargs: Any) -> list[float]:
        calls.append({"completions": completions, **kwargs})
        kwargs["log_extra"]("read", ["a", "b", "c"])
        kwargs["log_extra"]("size", [1, 2, 3])
        kwargs["log_metric"]("mean_size", 2.0)
        return [float(c == a) for c, a in zip(completions, kwargs["answer"], strict=True)]

    verdicts = score(reward, ["0", "x", "2"])
    assert [v.reward for v in verdicts] == [1.0, 0.0, 1.0]
    (call,) = calls
    assert call["prompts"] == ["q0", "q1", "q2"]
    assert call["level"] == [0, 1, 2]
    assert call["trainer_state"] == {"step": 7}
    assert verdicts[1].parts == {"size": 2.0, "mean_size": 2.0}
    assert verdicts[1].detail == "read=b"


def test_chat_prompts_make_chat_completions() -> None:
    chat = Problem(prompt=({"role": "user", "content": "q"},), answer="1", task="t")

    def reward(prompts: list[Any], completions: list[Any]) -> list[float]:
        assert prompts == [[{"role": "user", "content": "q"}]]
        return [float(completions[0] == [{"role": "assistant", "content": "1"}])]

    assert score(reward, ["1"], [chat])[0].reward == 1.0


def test_async_rewards_and_their_limit() -> None:
    async def quick(completions: list[str], **kwargs: Any) -> list[float | None]:
        await asyncio.sleep(0)
        return [None, 0.5, float("nan")]

    async def slow(completions: list[str], **kwargs: Any) -> list[float]:
        await asyncio.sleep(60)
        return []

    assert [v.status for v in score(quick, ["a", "b", "c"])] == ["not_applicable", "ok", "error"]
    assert [v.status for v in score(slow, ["a", "b", "c"])] == ["timeout"] * 3


def test_an_exception_is_a_status_with_its_traceback() -> None:
    def reward(completions: list[str], **kwargs: Any) -> list[float]:
        raise ZeroDivisionError("by nought")

    verdicts = score(reward, ["a", "b", "c"])
    assert [v.status for v in verdicts] == ["error"] * 3
    assert verdicts[0].detail.startswith("ZeroDivisionError: by nought (test_callable.py, line ")
    assert "Traceback" in verdicts[0].detail


def test_other_forms_are_called_for_each_text() -> None:
    def compute_score(
        data_source: str, solution_str: str, ground_truth: str, extra_info: Any
    ) -> dict[str, Any]:
        assert data_source == "t"
        return {"score": solution_str == ground_truth, "level": extra_info["level"]}

    def fragile(text: str, answer: str) -> float:
        return 1 / (text == answer)

    verdicts = score(compute_score, ["0", "x", "2"])
    assert [v.reward for v in verdicts] == [1.0, 0.0, 1.0]
    assert verdicts[2].parts == {"level": 2.0}
    assert [v.status for v in score(fragile, ["0", "x", "2"])] == ["ok", "error", "ok"]


@pytest.mark.parametrize(
    ("values", "reason"), [([1.0], "1 values for 3 completions"), (1.0, "returned float, not a list")]
)
def test_a_list_of_the_wrong_length_is_an_error_of_its_call(values: Any, reason: str) -> None:
    def mine(completions: list[str], **kwargs: Any) -> Any:
        return values

    verdicts = score(mine, ["a", "b", "c"])
    assert [v.status for v in verdicts] == ["error"] * 3
    assert "`mine`" in verdicts[0].detail
    assert reason in verdicts[0].detail


def test_logged_columns_of_the_wrong_length_are_an_error_of_their_call() -> None:
    def mine(completions: list[str], log_extra: Any, **kwargs: Any) -> list[float]:
        log_extra("read", ["a"])
        return [1.0, 1.0, 1.0]

    verdicts = score(mine, ["a", "b", "c"])
    assert [v.status for v in verdicts] == ["error"] * 3
    assert "logged 1 `read` values for 3" in verdicts[0].detail


def test_huge_numbers_that_are_logged_are_said_and_not_averaged() -> None:
    def mine(completions: list[str], log_metric: Any, **kwargs: Any) -> list[float]:
        log_metric("size", 1e300)
        return [1.0, 1.0, 1.0]

    verdict = score(mine, ["a", "b", "c"])[0]
    assert (verdict.reward, verdict.parts, verdict.detail) == (1.0, {}, "size=1e+300")


def test_a_call_that_does_not_come_back_is_a_timeout_and_takes_the_thread_until_it_does() -> None:
    let_go, calls = threading.Event(), []

    def mine(text: str, answer: str) -> float:
        calls.append(text)
        if text == "hangs":
            let_go.wait(60)
        return 1.0

    reward = CallableReward(mine, seconds=0.2)

    def verdicts(*texts: str) -> list[Verdict]:
        return asyncio.run(reward.score(PROBLEMS[: len(texts)], texts, {}))

    def statuses(*texts: str) -> list[str]:
        return [v.status for v in verdicts(*texts)]

    assert statuses("a", "hangs", "b") == ["ok", "timeout", "timeout"]
    assert calls == ["a", "hangs"]  # not one thread more for every call
    assert verdicts("c")[0].detail.startswith("TimeoutError: an earlier call has not come back yet")
    let_go.set()
    reward._lane._back.wait(10)
    assert statuses("d") == ["ok"]


def test_an_async_call_that_is_late_is_cancelled_and_the_next_one_works() -> None:
    async def mine(text: str, answer: str) -> float:
        await asyncio.sleep(60 if text == "hangs" else 0)
        return 1.0

    assert [v.status for v in score(mine, ["hangs", "a", "hangs"])] == ["timeout", "ok", "timeout"]


def test_what_would_end_the_trainer_is_an_error() -> None:
    def mine(text: str, answer: str) -> float:
        raise SystemExit(3)

    verdicts = score(mine, ["a", "b", "c"])
    assert [v.status for v in verdicts] == ["error"] * 3
    assert "SystemExit: 3" in verdicts[0].detail


def test_its_limits_are_said() -> None:
    def listed(completions: list[str], **kwargs: Any) -> list[float]:
        return []

    assert "longer than 600 s" in CallableReward(listed).note
    assert "cannot be killed" in CallableReward(lambda text, answer: 1.0).note
    assert CallableReward(lambda text, answer: 1.0).seconds == 60
    with pytest.raises(RewardError, match="above 0"):
        CallableReward(listed, seconds=0)


def test_a_missing_column_is_named() -> None:
    def mine(completions: list[str], solution: list[str], **kwargs: Any) -> list[float]:
        return []

    with pytest.raises(RewardError, match=r"needs `solution`.*They have answer, level"):
        score(mine, ["a", "b", "c"])


def test_a_path_is_loaded_and_no_rollouts_make_no_call(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(text, answer):\n    return text == answer\n")
    assert [v.reward for v in score(f"{file}:score", ["0", "1", "x"])] == [1.0, 1.0, 0.0]
    assert score(f"{file}:score", [], []) == []
