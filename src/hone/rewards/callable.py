"""A reward that runs in the trainer: a Python callable, or a function whose file was named with `inprocess:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hone.core.errors import RewardError
from hone.core.loading import load_callable
from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form, failure, form_of, score_all, seconds_for
from hone.rewards.lane import Lane


@dataclass(frozen=True)
class CallableReward:
    """Scores rollouts with `source`: a callable, or `path/to/module.py:function`, in a thread of this process.

    For what must live here: reward models, closures, clients. The form is read off the parameter names (see
    `hone.core.scoring`); a TRL-style function is called once with lists over all rollouts. A call may take `seconds`;
    None is 60 for one text and 600 for the list form. After that its verdicts are time-outs, but it cannot be killed,
    and signals do not work in it. RewardError at construction if the function cannot be loaded or has no known form.
    """

    source: str | Callable[..., Any]
    seconds: float | None = None
    name: str = field(init=False)
    form: Form = field(init=False)
    function: Callable[..., Any] = field(init=False, repr=False, compare=False)
    _lane: Lane = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        source = self.source
        if self.seconds is not None and not self.seconds > 0:
            raise RewardError(f"`reward.seconds` is {self.seconds}.", "It must be above 0.")
        function = load_callable(source) if isinstance(source, str) else source
        name = source if isinstance(source, str) else name_of(source)
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "form", form_of(function, name))
        object.__setattr__(self, "seconds", seconds_for(self.form, self.seconds))
        object.__setattr__(self, "_lane", Lane())

    @property
    def note(self) -> str:
        """How it is run, for whoever watches."""
        return (
            f"the reward `{self.name}` runs inside the trainer: a call that takes longer than {self.seconds:g} s is a "
            "time-out, but it cannot be killed, and a crash of it ends the run"
        )

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`, attempts at `problems[R]`.

        An exception, a time-out, a list of another length, a value that is no number, not finite or beyond ±1e6 is a
        status of its rollouts; None is `not_applicable`. What a TRL-style function logs becomes `parts` (numbers) or
        `detail` (text). RewardError if it needs a column that the problems lack.
        """
        if len(problems) != len(texts):
            raise ValueError(f"{len(problems)} problems but {len(texts)} texts")
        verdicts: list[Verdict] = []
        size = max(1, len(texts)) if self.form == "trl" else 1
        for i in range(0, len(texts), size):
            verdicts += await self._call(problems[i : i + size], texts[i : i + size], trainer_state)
        return verdicts

    async def _call(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        assert self.seconds is not None  # resolved at construction
        try:
            return await self._lane.run(
                lambda: score_all(self.function, self.name, problems, texts, trainer_state), self.seconds
            )
        except RewardError:
            raise
        except Exception as error:
            return [failure(error)] * len(texts)


def name_of(function: Callable[..., Any]) -> str:
    """What messages and recipes call a callable."""
    return str(getattr(function, "__name__", type(function).__name__))
