from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hone.core.errors import RewardError, TaskError
from hone.isolation.link import KEPT
from hone.isolation.pool import Pool, WorkerError, pool


@pytest.fixture(scope="module")
def one():
    made = Pool(size=1)
    yield made
    made.stop()


def call(pool: Pool, name: str, *args, seconds: float = 30):
    return pool.call(f"misbehaving:{name}", args, seconds)


def works(pool: Pool) -> bool:
    return call(pool, "echo", [1, "a", None, {"b": 0.5}, "\ud800"]) == [1, "a", None, {"b": 0.5}, "\ud800"]


def gone(process: int) -> bool:
    """Whether a process ends within a while."""
    for _ in range(1000):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_a_call_that_hangs_is_killed_and_the_next_one_works(one: Pool) -> None:
    with pytest.raises(TimeoutError, match=r"no result within 0\.3 s"):
        call(one, "hang", seconds=0.3)
    with pytest.raises(TimeoutError):
        one.call("operator:pow", (9, 9**9), 0.3)  # one C call that holds the interpreter
    assert works(one)


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("end", [7], "the worker ended with exit code 7"),
        ("end", [0], "the worker ended with exit code 0"),
        ("end", ["SIGSEGV"], "the worker was killed by SIGSEGV"),
        ("end", ["SIGKILL"], "the worker was killed by SIGKILL"),
        ("fork_and_end", [3], "the worker ended with exit code 3"),
        ("leave", [3], "SystemExit: 3"),
        ("eat_memory", [], "MemoryError"),
        ("close_everything", [], "the worker"),
        ("write_everywhere", [], "wrote into hone's channel"),
        ("no_json", [], "its value is not JSON: TypeError"),
        ("want_torch", [], "Workers do not load torch"),
        ("no_such_function", [], "AttributeError"),
    ],
)
def test_what_goes_wrong_is_said_and_the_next_call_works(
    one: Pool, name: str, args: list, reason: str
) -> None:
    with pytest.raises(WorkerError, match=reason):
        call(one, name, *args)
    assert works(one)


def test_errors_come_back_with_their_traceback_and_house_errors_as_themselves(one: Pool) -> None:
    with pytest.raises(WorkerError, match="ZeroDivisionError") as caught:
        one.call("operator:truediv", (1, 0), 5)
    assert "Traceback" in str(caught.value)
    with pytest.raises(WorkerError, match="no_such_module"):
        one.call("operator:add", (1, 2), 5, needs=["no_such_module"])
    with pytest.raises(RewardError, match=r"no file `nowhere\.py`"):
        one.call("operator:add", (1, 2), 5, needs=["nowhere.py:f"])
    with pytest.raises(TaskError, match="Write `regex:<pattern>`"):
        one.call("hone.tasks.verifiers:make_verifier", ("regex",), 30)
    with pytest.raises(TypeError, match="JSON"):
        one.call("operator:add", (object(), 2), 5)


def test_a_worker_that_ran_out_of_memory_is_replaced(one: Pool) -> None:
    before = call(one, "facts")
    with pytest.raises(WorkerError, match="MemoryError"):
        call(one, "eat_memory")
    assert call(one, "facts")["pid"] != before["pid"]


def test_memory_is_limited_for_each_worker() -> None:
    small = Pool(memory_gib=0.5, size=1)
    assert small.call("misbehaving:facts", (), 30)["memory"] == 2**29
    assert small.call("builtins:len", ("x" * 1000,), 30) == 1000
    with pytest.raises(WorkerError, match="MemoryError"):
        small.call("builtins:bytearray", (2**30,), 30)
    small.stop()


def test_a_fork_that_comes_back_does_not_answer_twice(one: Pool) -> None:
    for value in range(3):
        assert call(one, "fork_and_return", value) == value
    assert call(one, "echo", "next") == "next"
    (worker,) = one.processes()
    copies = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    assert all(gone(int(copy)) for copy in copies)


def test_what_is_forked_ends_with_its_worker(tmp_path: Path) -> None:
    alone = Pool(size=1)
    child = call(alone, "fork_and_stay", str(tmp_path / "pid"))
    os.kill(alone.processes()[0], signal.SIGKILL)
    assert gone(child)
    alone.stop()


@pytest.mark.parametrize(("name", "args"), [("flood", [10**7]), ("flood_from_a_thread", [])])
def test_printing_blocks_nothing_and_only_its_end_is_kept(one: Pool, name: str, args: list) -> None:
    answer = one.submit(f"misbehaving:{name}", args, 60).result()
    assert answer.value == "done"
    assert len(answer.printed) <= KEPT
    assert works(one)


def test_printing_without_end_is_a_timeout(one: Pool) -> None:
    with pytest.raises(TimeoutError, match=r"no result within 0\.5 s\nIt printed last:\n[x\n]+$"):
        call(one, "flood", seconds=0.5)
    assert works(one)


def test_what_is_printed_comes_with_the_answer_and_goes_nowhere_else(one: Pool, capfd) -> None:
    answer = one.submit("misbehaving:say", ["hello"], 30).result()
    assert set(answer.printed.split("\n")) == {"hello", "from below"}
    assert one.submit("misbehaving:echo", [1], 30).result().printed == ""
    assert capfd.readouterr() == ("", "")


def test_what_a_call_leaves_behind_does_not_reach_the_next(one: Pool, tmp_path: Path) -> None:
    before = call(one, "facts")
    call(one, "leave_an_alarm")
    time.sleep(0.4)
    call(one, "wander", str(tmp_path))
    after = call(one, "facts")
    assert (after["where"], after["pid"]) == (os.getcwd(), before["pid"])


def test_a_worker_that_ends_between_calls_is_replaced_in_silence(one: Pool) -> None:
    before = call(one, "facts")["pid"]
    os.kill(before, signal.SIGKILL)
    assert gone(before)
    assert call(one, "facts")["pid"] != before


def test_workers_are_apart_light_and_alike() -> None:
    pools = [Pool(size=1) for _ in range(2)]
    facts = [call(p, "facts") for p in pools]
    for fact in facts:
        assert fact["session"] == fact["pid"]  # of its own
        assert fact["torch"] is False
        assert fact["main thread"] is True  # where signals work
    assert facts[0]["hash"] == facts[1]["hash"]
    for made in pools:
        made.stop()


def test_loading_what_verifiers_need_does_not_load_torch(one: Pool) -> None:
    needs = ["hone.tasks", "hone.isolation.functions", "math_verify", "reasoning_gym"]
    assert one.submit("misbehaving:facts", (), 60, needs).result().value["torch"] is False


def test_calls_run_side_by_side_and_results_are_in_order(tmp_path: Path) -> None:
    two = Pool(size=2)
    places = [str(tmp_path / name) for name in "ab"]
    both = [two.submit("misbehaving:meet", pair, 60) for pair in (places, places[::-1])]
    assert len({future.result().value for future in both}) == 2
    many = [two.submit("misbehaving:echo", [i], 60) for i in range(50)]
    assert [future.result().value for future in many] == list(range(50))
    assert len(two.processes()) == 2  # started when needed, then kept
    two.stop()


def test_a_call_that_waits_can_be_cancelled(one: Pool) -> None:
    busy, waiting = (one.submit("misbehaving:hang", (), 1) for _ in range(2))
    while not busy.running():
        time.sleep(0.01)
    assert waiting.cancel()
    with pytest.raises(TimeoutError):
        busy.result()
    assert works(one)


OWNER = """
import os, sys, time
from hone.isolation.pool import Pool
pool = Pool(size=2)
for name in "ab":  # each is there, and waits for one that never comes
    pool.submit("misbehaving:meet", ("{folder}/" + name, "{folder}/c"), 600)
while len(os.listdir("{folder}")) < 2:
    time.sleep(0.01)
print(*pool.processes(), flush=True)
{then}
"""


def owner(folder: Path, then: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", OWNER.format(folder=folder, then=then)],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )


def test_no_worker_survives_an_owner_that_is_killed(tmp_path: Path) -> None:
    process = owner(tmp_path, "time.sleep(600)")
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    process.kill()
    process.wait()
    assert all(gone(worker) for worker in workers)


def test_an_owner_that_ends_does_not_wait_for_its_workers(tmp_path: Path) -> None:
    process = owner(tmp_path, "")
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert process.wait(60) == 0
    assert all(gone(worker) for worker in workers)


def test_a_forked_owner_makes_workers_of_its_own() -> None:
    before = pool("forked").call("os:getpid", (), 30)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(pool("forked").call("os:getpid", (), 30)).encode())
        os._exit(0)
    theirs = int(os.read(read, 100))
    os.waitpid(child, 0)
    assert theirs != before
    assert pool("forked").call("os:getpid", (), 30) == before
