"""Live progress of a run: a bar with the time left on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from hone.cli import derived
from hone.cli.terminal import plain
from hone.compute.memory import MemoryPlan
from hone.core.method import Method
from hone.core.recipe import Recipe
from hone.report.words import count, duration, percent

PLAIN_EVERY = 5.0  # seconds between lines where there is no terminal


@dataclass
class Pace:
    """Time left, from the share of the steps (or of the budget of sampled tokens) that took the time so far.

    A resumed run counts from its first new step. The last evaluation is added, as long as the first one was.
    """

    budget: int | None = None
    origin: tuple[float, float] | None = None  # (time, share) at which counting began
    last_step: int = 0
    evaluation: float = 0.0

    def left(self, line: Mapping[str, Any], of: int, now: float) -> float:
        """Seconds left after the step of `line`, the `step`-th of `of`."""
        step, share = int(line["step"]), self.share(line, of)
        if self.origin is None or step <= self.last_step:
            self.origin = now - float(line.get("time/step") or 0.0), share * (step - 1) / step
        self.last_step = step
        began, before = self.origin
        rate = (now - began) / (share - before) if share > before else 0.0
        return max(0.0, 1.0 - share) * rate + self.evaluation

    def share(self, line: Mapping[str, Any], of: int) -> float:
        """How much of the run is done, from 0 to 1: by steps or by tokens, whichever ends it first."""
        shares = [line["step"] / of if of else 1.0]
        if self.budget:
            shares.append(line["sampled_tokens"] / self.budget)
        return min(1.0, max(shares))


@dataclass
class RichProgress:
    """Shows a run's events on `console`; use it as a context manager. `budget` is the run's `max_sampled_tokens`."""

    console: Console
    budget: int | None = None
    clock: Callable[[], float] = time.monotonic
    bar: Progress | None = field(default=None, init=False)
    pace: Pace = field(init=False)
    task: TaskID | None = field(default=None, init=False)
    last_line: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.budget)

    def __enter__(self) -> RichProgress:
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
                TextColumn("{task.fields[info]}"),
            )  # fmt: skip
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task("starting", total=None, info="")
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._print(f"note: {text}", "yellow")

    def plan(self, recipe: Recipe, method: Method, plan: MemoryPlan) -> None:
        """Print what memory makes of the recipe, above the bar."""
        self.console.print(derived.plan_table(recipe, method, plan))

    def step(self, line: Mapping[str, Any], of: int) -> None:
        """Move the bar, or print a line if the last one is some seconds old."""
        now = self.clock()
        left = self.pace.left(line, of, now)
        done = self.pace.share(line, of) >= 1.0
        info = step_words(line)
        ahead = "evaluating" if done else f"{duration(left)} left"
        if self.bar is not None and self.task is not None:
            self.bar.update(
                self.task, description=f"step {line['step']}/{of}", total=1.0,
                completed=self.pace.share(line, of), info=f"{info}  {ahead}",
            )  # fmt: skip
        elif done or now - self.last_line >= PLAIN_EVERY:
            self.last_line = now
            self._print(f"step {line['step']}/{of}  {info}  {ahead}")

    def evaluation(self, line: Mapping[str, Any]) -> None:
        """Print a held-out evaluation."""
        self.pace.evaluation = float(line.get("time/eval") or 0.0)
        self._print(evaluation_words(line), "cyan")

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(Text(plain(text), style=style), soft_wrap=True)


def step_words(line: Mapping[str, Any]) -> str:
    """The figures of a step that a person follows; what the step does not have is left out."""
    words = []
    if line.get("pass_rate") is not None:
        words.append(f"pass rate {percent(line['pass_rate'])}")
    elif line.get("reward/mean") is not None:
        words.append(f"reward {line['reward/mean']:.3g}")
    elif line.get("loss/supervised") is not None:
        words.append(f"loss {line['loss/supervised']:.4g}")
    if line.get("length/mean") is not None:
        words.append(f"length {line['length/mean']:.1f}")
    if line.get("sampled_tokens"):
        words.append(f"{count(line['sampled_tokens'])} tokens")
    failed = sum(int(line.get(f"status/{name}") or 0) for name in ("error", "timeout"))
    if failed:
        words.append(f"{failed} verdicts failed")
    return "  ".join(words)


def evaluation_words(line: Mapping[str, Any]) -> str:
    """One sentence about an evaluation: pass@k with intervals."""
    found = [
        f"{name} {percent(value['value'], 1)} [{percent(value['low'], 1)}, {percent(value['high'], 1)}]"
        for name, value in line.items()
        if name.startswith("pass@")
    ]
    return (
        f"step {line['step']}, held-out: {', '.join(found)} ({line['problems']} problems of {line['task']})"
    )
