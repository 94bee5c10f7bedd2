"""A process that has imported everything and forks a child for each run, so that a hundred kills pay for one import.

Run as a script it reads jobs, a JSON object a line, and answers each with a line. A child counts every moment at which
something on disk is about to change, and kills itself at the one it is told to.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Boundaries:
    """Counts the moments before something under `out` changes, and ends the process at number `last`."""

    def __init__(self, out: str, last: int | None) -> None:
        self.out, self.last, self.count = out, last, 0
        self.write, self.fsync = os.write, os.fsync
        os.write, os.fsync = self.torn_write, self.counted_fsync
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        written = event == "open" and (args[2] or 0) & WRITING and str(args[0]).startswith(self.out)
        if written or event in CHANGES:
            self.pass_one()

    def pass_one(self, at_the_end=lambda: None) -> None:
        self.count += 1
        if self.count == self.last:
            at_the_end()
            os.kill(os.getpid(), signal.SIGKILL)

    def torn_write(self, handle: int, data: Any) -> int:
        self.pass_one(lambda: self.write(handle, bytes(data)[: len(data) // 2]))
        return self.write(handle, data)

    def counted_fsync(self, handle: int) -> None:
        self.pass_one()
        self.fsync(handle)


def add_wandering() -> None:
    """A curriculum with a state of JSON values and a tensor, which goes where rewards have led it."""
    import torch

    from hone.catalog import REGISTRY
    from hone.curricula import Uniform

    @dataclass(frozen=True)
    class Wandering(Uniform):
        def init(self, task, seed):
            return {"place": seed, "path": [], "rates": torch.zeros(3, dtype=torch.float64)}

        def draw(self, state, task, step, so_far):
            requests, _ = super().draw({}, task, step, so_far)
            moved = [replace(r, problem=task.problem(state["place"] % 50 + r.group)) for r in requests]
            return moved, {**state, "path": [*state["path"], state["place"]]} if requests else state

        def observe(self, state, batch):
            right = int(batch.rewards[batch.ok].sum())
            rates = torch.roll(state["rates"], 1) + right / 7
            return {**state, "place": state["place"] * 3 + right + 1 + int(rates.sum() * 10), "rates": rates}

    REGISTRY.add("curriculum", "wandering", Wandering)


def child(job: dict[str, Any], answer: int) -> None:
    """Run one job, write what came of it into `answer`, and end."""
    import torch

    import hone

    torch.set_num_threads(1)
    known = set(sys.modules)
    add_wandering()
    boundaries = Boundaries(job["out"], job.get("kill_at"))
    error = None
    try:
        hone.train(job["recipe"], out=job["out"], resume=job["resume"])
    except BaseException as raised:
        error = f"{type(raised).__name__}: {raised}"
    found = {"error": error, "boundaries": boundaries.count, "modules": sorted(set(sys.modules) - known)}
    boundaries.write(answer, json.dumps(found).encode())
    os._exit(0)


def serve() -> None:
    import hone.training.run  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        assert threading.active_count() == 1  # a fork takes no other thread with it
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(job, write)
        os.close(write)
        if job.get("after") is not None:
            time.sleep(job["after"])
            with suppress(ProcessLookupError):
                os.kill(pid, job.get("signal", signal.SIGKILL))
        with os.fdopen(read, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(pid, 0)
        found = json.loads(told) if told else {"modules": []}
        for name in found.pop("modules"):  # what runs import late, the next children have from the start
            with suppress(Exception):
                importlib.import_module(name)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), **found}), flush=True)


class Warm:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def run(self, recipe: dict[str, Any], out: Path, resume: bool = False, **how: Any) -> dict[str, Any]:
        """A run's exit code, its error, how many boundaries it passed; `how` is `kill_at`, or `after` seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {"recipe": recipe, "out": str(out), "resume": resume, **how}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


if __name__ == "__main__":
    serve()
