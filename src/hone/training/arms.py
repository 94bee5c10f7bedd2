"""Many runs, each in a fresh one-thread process: the arms of a comparison or a sweep, reused when they are finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hone.core.errors import CheckpointError
from hone.core.recipe import Recipe
from hone.training import checkpoint
from hone.training.disk import write_whole
from hone.training.folder import JSONL, RunFolder
from hone.training.lock import locked
from hone.training.same import differences

LAST_LINES = 6
LOOK = 1.0  # seconds between looks at an arm's process
SILENCE = (
    6 * 3600.0
)  # seconds without a line, after which an arm is taken to hang: no step or evaluation is so long
LEAVE = 120.0  # seconds that an arm which was told to stop has for its checkpoint


@dataclass(frozen=True)
class Arm:
    """One run of many: a method or a cell of a grid (`label`) with one seed.

    `folder` is its run folder; its recipe and its output lie beside it.
    """

    label: str
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"{self.label}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """What its process printed."""
        return self.folder.with_suffix(".log")

    def finished(self) -> bool:
        """Whether its run is complete. Raises CheckpointError if the folder holds a run of another recipe."""
        if not (self.folder / "recipe.yaml").is_file():
            return False
        if different := differences(self.recipe, RunFolder(self.folder).read_recipe()):
            raise CheckpointError(
                f"{self.folder} holds a run of another recipe: {different}.", "Give another `--out`."
            )
        return (self.folder / "summary.json").is_file()

    def result(self, metrics: Sequence[str]) -> dict[str, Any]:
        """Its final evaluation and its cost. Raises CheckpointError if the evaluation is not there."""
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        evals = RunFolder(self.folder).read("eval.jsonl")
        if not evals:
            raise CheckpointError(
                f"{self.folder} has no evaluation.", "Delete the folder and give the same command again."
            )
        final = {m: evals[-1][m]["value"] for m in metrics if m in evals[-1]}
        cost = {key: summary[key] for key in ("sampled_tokens", "rollouts", "seconds")}
        return {"seed": self.seed, "final": final, **cost}


@dataclass
class Workers:
    """Runs arms, at most `count` at a time, and ends the processes it started when it is interrupted.

    `unwanted` is asked about each running arm at every look, in the arm's own thread; an arm of which it says True is
    told to stop, and is no failure. `after` hears of each arm that has ended, in the thread of `run`.
    """

    count: int
    tell: Callable[[str], None]
    unwanted: Callable[[Arm], bool] = lambda arm: False
    after: Callable[[Arm], None] = lambda arm: None
    stopped: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def run(self, arms: Sequence[Arm]) -> dict[str, str]:
        """Run `arms` in their order; returns the last lines of each that failed, by the arm's name."""
        failures: dict[str, str] = {}
        began = time.monotonic()
        with ThreadPoolExecutor(self.count) as pool:
            futures = {pool.submit(self._one, arm): arm for arm in arms}
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    arm, output = futures[future], future.result()
                    if output is not None:
                        failures[arm.name] = output
                    self.after(arm)
                    left = (time.monotonic() - began) / done * (len(arms) - done)
                    ending = f", about {left / 60:.1f} min left" if done < len(arms) else ""
                    state = "failed" if output is not None else "done"
                    state = "stopped" if output is None and arm.name in self.stopped else state
                    self.tell(f"{arm.name}: {state} ({done} of {len(arms)}{ending})")
            except BaseException:
                self.stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self.running):
                    process.terminate()
                raise
        return failures

    def _one(self, arm: Arm) -> str | None:
        """Run an arm to its end; None if that went well, else its last lines."""
        if self.stopping.is_set():
            return None
        with arm.log.open("ab") as log:
            process = subprocess.Popen(
                command(arm), stdout=log, stderr=subprocess.STDOUT, env=one_thread(),
                start_new_session=True,  # Ctrl-C at a terminal is for this process, which passes it on once
            )  # fmt: skip
        self.running.add(process)
        try:
            code = self._wait(process, arm)
        except TimeoutError as error:
            return str(error)
        finally:
            self.running.discard(process)
        told = arm.name in self.stopped and code in (-signal.SIGTERM, 128 + signal.SIGTERM)
        return None if code == 0 or told else f"exit code {code}. {last_lines(arm.log)}"

    def _wait(self, process: subprocess.Popen[bytes], arm: Arm) -> int:
        """The exit code of an arm's process.

        Raises TimeoutError, and kills it, if it gives no sign of life for `SILENCE` seconds, or was told to stop and is
        still there after `LEAVE`.
        """
        files = [arm.log, *(arm.folder / name for name in JSONL)]
        seen, quiet_until, stop_until = _sizes(files), time.monotonic() + SILENCE, None
        while True:
            try:
                return process.wait(LOOK)
            except subprocess.TimeoutExpired:
                now, sizes = time.monotonic(), _sizes(files)
            if sizes != seen:
                seen, quiet_until = sizes, now + SILENCE
            if self.stopping.is_set() and stop_until is None:
                stop_until = now + LEAVE
            if stop_until is None and self.unwanted(arm):
                self.stopped.add(arm.name)
                process.terminate()
                stop_until = now + LEAVE
            if now <= (quiet_until if stop_until is None else stop_until):
                continue
            process.kill()
            did = "did not end within" if stop_until else "wrote nothing into its log or its run folder for"
            most = LEAVE if stop_until else SILENCE
            raise TimeoutError(
                f"process {process.pid} {did} {most:g} s and was killed. {last_lines(arm.log)}"
            )


def _sizes(files: Sequence[Path]) -> list[int]:
    return [path.stat().st_size if path.exists() else 0 for path in files]


def command(arm: Arm) -> list[str]:
    """Write the arm's recipe and give the command that runs it, from its newest checkpoint if it has one.

    A run that stopped before its first checkpoint cannot go on: it is moved aside and started anew.
    """
    file = arm.folder.with_suffix(".yaml")
    write_whole(file, yaml.safe_dump(arm.recipe.dump(), sort_keys=False, allow_unicode=True))
    resume = bool(checkpoint.steps(RunFolder(arm.folder).checkpoints))
    if arm.folder.exists() and not resume:
        with locked(arm.folder):  # a process may have outlived the comparison that started it
            arm.folder.rename(_aside(arm.folder))
    words = [sys.executable, "-m", "hone.cli", "train", str(file), "--out", str(arm.folder), "--no-report"]
    return [*words, "--resume"] if resume else words


def _aside(folder: Path) -> Path:
    number = 1
    while (target := folder.with_name(f"{folder.name}.stopped-{number}")).exists():
        number += 1
    return target


def one_thread() -> dict[str, str]:
    """This process's environment with one thread for arithmetic, so that workers do not fight over cores."""
    return os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def last_lines(log: Path) -> str:
    """The last lines a process printed, in one."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][-LAST_LINES:])
