"""A chat model behind an endpoint: what it is asked and sent, what is read of it, and what happens when it fails."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

import hone
from hone.core.errors import RewardError
from hone.rewards import endpoints
from hone.rewards.endpoints import Endpoint
from hone.rewards.reflectors import Lived, Said
from played import context

pytest.importorskip("openai")


@dataclass
class Server:
    """What it was asked, and the statuses that it gives first."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    failing: list[int] = field(default_factory=list)
    answer: str = "+L\nfor the key lies there"
    lock: Lock = field(default_factory=Lock)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine that speaks chat completions."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state.lock:
                status = state.failing.pop(0) if state.failing else 200
                state.asked.append({"path": self.path, **body})
                state.keys.append(self.headers["authorization"])
            message = {"role": "assistant", "content": state.answer}
            usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            good = {
                "id": "1",
                "created": 1,
                "model": "m",
                "system_fingerprint": "",
                "choices": choices,
                "usage": usage,
            }
            out = json.dumps(good if status == 200 else {"error": {"message": "the model is asleep"}})
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(out)))
            self.end_headers()
            with suppress(BrokenPipeError):  # of a request that was given up with the first that failed
                self.wfile.write(out.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/v1"
        yield state
        http.shutdown()
        thread.join()


LIVED = [Lived(("k.a>", "ka.>"), ("L", "L"), 1.0), Lived(("k.a>",), ("R",), 0.0)]


def said(of: Server, number: int = 1, **options: Any) -> Said:
    reflector = Endpoint(of.url, "m", "What should have been done?", 5)
    return asyncio.run(reflector(LIVED, ("L", "R"), number, context(**options)))


def test_every_decision_is_asked_of_and_the_first_line_is_read(server):
    found = said(server, number=2)
    assert found.texts == [["+L", "+L"]] * 3
    assert found.readings == {"endpoint_prompt_tokens": 42, "endpoint_answer_tokens": 12}
    assert {each["path"] for each in server.asked} == {"/v1/chat/completions"}
    assert {each["model"] for each in server.asked} == {"m"}
    assert {each["max_tokens"] for each in server.asked} == {5}
    questions = sorted(each["messages"][0]["content"] for each in server.asked)
    wanted = ["k.a|L L|1?", "k.a|R|0?", "ka.|L|1?"]
    assert questions == sorted(2 * [f"What should have been done?\n{text}" for text in wanted])


def test_seeds_are_those_of_the_run_and_all_different(server):
    said(server, number=2)
    first = sorted(each["seed"] for each in server.asked)
    server.asked.clear()
    said(server, number=2)
    assert sorted(each["seed"] for each in server.asked) == first
    assert len(set(first)) == 6
    server.asked.clear()
    said(server, number=2, seed=1)
    assert not set(first) & {each["seed"] for each in server.asked}


def test_the_key_is_the_endpoint_s_own_and_no_other_service_s(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.delenv(endpoints.KEY, raising=False)
    said(server)
    assert set(server.keys) == {"Bearer none"}
    server.keys.clear()
    monkeypatch.setenv(endpoints.KEY, "mine")
    said(server)
    assert set(server.keys) == {"Bearer mine"}


def test_a_failure_that_may_pass_is_asked_again(server):
    server.failing = [503, 429]
    assert said(server).texts == [["+L"]] * 3
    assert len(server.asked) == 5


def test_a_refusal_and_a_lasting_failure_name_the_endpoint_and_the_mend(server, monkeypatch):
    server.failing = [401] * 100
    with pytest.raises(RewardError, match=r"gave no answer: .*asleep") as refused:
        said(server)
    assert server.url in str(refused.value)
    assert endpoints.KEY in str(refused.value)
    monkeypatch.setattr(endpoints, "RETRIES", 0)
    server.failing = [500] * 100
    with pytest.raises(RewardError, match="asleep"):
        said(server)
    server.failing.clear()
    server.url = "http://127.0.0.1:9/v1"  # nobody listens there
    with pytest.raises(RewardError, match="gave no answer"):
        said(server)


def test_after_a_failure_nothing_else_is_asked(server, monkeypatch):
    monkeypatch.setattr(endpoints, "AT_ONCE", 2)
    server.failing = [401] * 1000
    many = [Lived(("k.a>",) * 100, ("L",) * 100, 0.0)]
    with pytest.raises(RewardError):
        asyncio.run(Endpoint(server.url, "m")(many, ("L", "R"), 1, context()))
    assert len(server.asked) <= 4


def test_a_run_learns_from_an_endpoint_and_counts_its_tokens(server, tmp_path):
    recipe = {
        "task": {"name": "environment", "environment": "key_door", "settings": {"length": 5, "horizon": 4}},
        "model": "micro:new", "method": "ricol", "actions": ["L", "R"], "num_generations": 2,
        "problems_per_step": 1, "max_completion_length": 1, "steps": 1, "eval": {"problems": 1, "samples": 1, "k": [1]},
        "rewards": [
            "verifier",
            {"name": "retrospection", "reflector": "endpoint", "endpoint": server.url, "endpoint_model": "m",
             "instruction": "Say +L or +R."},
        ],
    }  # fmt: skip
    (line,) = hone.train(recipe, out=tmp_path / "run").metrics()
    assert line["retrospection/heard"] == 1.0
    assert line["retrospection/endpoint_prompt_tokens"] == 7 * len(server.asked) > 0


def test_without_the_library_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(RewardError, match=r"hone-rl\[endpoints\]"):
        said(Server(url="http://127.0.0.1:9/v1"))
