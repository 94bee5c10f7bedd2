"""A reward that is the user's own function: TRL-style, verl's `compute_score`, or plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hone.core.loading import load_callable
from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form, form_of, score_all


@dataclass(frozen=True)
class CallableReward:
    """Scores rollouts with `source`: a callable, or `path/to/module.py:function`.

    The form is read off the parameter names (see `hone.core.scoring`); a TRL-style function is called once
    with lists over all rollouts. `seconds` limits an async function; a sync one runs in the calling thread
    until it returns. RewardError at construction if the function cannot be loaded or has no known form.
    """

    source: str | Callable[..., Any]
    seconds: float = 60.0
    name: str = field(init=False)
    form: Form = field(init=False)
    function: Callable[..., Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        source = self.source
        function = load_callable(source) if isinstance(source, str) else source
        name = source if isinstance(source, str) else getattr(source, "__name__", type(source).__name__)
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "form", form_of(function, name))

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`, attempts at `problems[R]`.

        An exception, a time-out, a value that is no number or not finite is a status of its rollouts; None is
        `not_applicable`. What a TRL-style function logs becomes `parts` (numbers) or `detail` (text).
        RewardError if it returns no list or one of another length, or needs a column that the problems lack.
        """
        return await score_all(self.function, self.name, problems, texts, trainer_state, self.seconds)
