"""Calls a reward function written in one of the field's forms and turns what it returns into verdicts.

The form is read off the parameter names:

| form | parameters | called with |
|---|---|---|
| `trl` | one is `completions` | keyword lists: `prompts`, `completions`, every data column; `trainer_state`, `log_extra`, `log_metric`; one call for all rollouts |
| `verl` | one is `solution_str` or `ground_truth` | `data_source`, `solution_str`, `ground_truth`, `extra_info` by keyword, as far as it names them |
| `problem` | `(problem, text)` | a `hone.core.problem.Problem` and the attempt |
| `answer` | `(text, answer)` | the attempt and the problem's answer |

Any of them may be async. They run where this module is called: in a worker, or in a thread of the trainer.
"""  # noqa: E501

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from hone.core.errors import RewardError
from hone.core.loading import describe
from hone.core.problem import Problem, Verdict

Form = Literal["trl", "verl", "problem", "answer"]
LARGEST = 1e6  # float32, in which advantages are, tells a reward of 1 from 0 beside this one, and no longer beside 1e8
_SECONDS = {"trl": 600.0}  # of one call for all rollouts
_SECONDS_EACH = 60.0  # of one call for one rollout
VERL = ("data_source", "solution_str", "ground_truth", "extra_info")
_SIGNATURES = "(completions, **kwargs), (data_source, solution_str, ground_truth, extra_info), (problem, text) or (text, answer)"  # noqa: E501


def form_of(function: Callable[..., Any], name: str) -> Form:
    """The form of `function`, which messages call `name`. RewardError if its parameters fit none."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise RewardError(
            f"The signature of `{name}` cannot be read.", "Wrap it in a plain function."
        ) from error
    required = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if "completions" in parameters:
        if "completion_ids" in required:
            raise RewardError(
                f"`{name}` requires `completion_ids`, but rewards are given text, not tokens.",
                "Give the parameter a default or take it from **kwargs.",
            )
        return "trl"
    if "solution_str" in parameters or "ground_truth" in parameters:
        other = [p for p in required if p not in VERL]
        if other:
            raise RewardError(
                f"`{name}` looks like a verl `compute_score` but also requires `{other[0]}`.",
                f"Only {', '.join(VERL)} are passed; give `{other[0]}` a default.",
            )
        return "verl"
    forms: dict[tuple[str, ...], Form] = {("problem", "text"): "problem", ("text", "answer"): "answer"}
    form = forms.get(tuple(parameters)[:2])
    if form is None or len(required) > 2:
        has = ", ".join(parameters) or "no parameters"
        raise RewardError(
            f"`{name}` takes ({has}), which is no known form of a reward.", f"Use {_SIGNATURES}."
        )
    return form


def seconds_for(form: Form, seconds: float | None) -> float:
    """How long one call of a function may take: `seconds`, or the default of its form."""
    return _SECONDS.get(form, _SECONDS_EACH) if seconds is None else seconds


def data_columns(problem: Problem) -> dict[str, Any]:
    """The columns a TRL reward receives: `answer`, then the row in `problem.meta["columns"]` if any."""
    return {"answer": problem.answer, **problem.meta.get("columns", {})}


def verdict_of(value: Any, parts: Mapping[str, float] | None = None, detail: str = "") -> Verdict:
    """What a returned `value` means.

    A number or bool is the reward, None is `not_applicable`, a Verdict is itself if its reward is one, a mapping
    gives its `score` and its other numbers as parts. Anything else, NaN, infinities and numbers beyond ±1e6
    included, is an `error`.
    """
    parts = dict(parts or {})
    if isinstance(value, Verdict):
        checked = verdict_of(value.reward) if value.status == "ok" else value
        sound = {k: v for k, v in value.parts.items() if usable(v)}
        return replace(value if checked.status == "ok" else checked, parts=sound)
    if value is None:
        return Verdict(None, "not_applicable", parts=parts, detail=detail)
    if isinstance(value, Mapping):
        if value.get("score") is None:
            return Verdict(
                None, "error", detail=f"the mapping it returned has no `score`: {str(value)[:200]}"
            )
        others = {str(k): _number(v) for k, v in value.items() if k != "score"}
        parts.update({k: v for k, v in others.items() if v is not None and usable(v)})
        value = value["score"]
    reward = _number(value)
    if reward is None:
        return Verdict(
            None, "error", detail=f"it returned {type(value).__name__} {str(value)[:200]!r}, not a number"
        )
    if not math.isfinite(reward):
        return Verdict(None, "error", parts=parts, detail=f"it returned {reward}, which is not finite")
    if not usable(reward):
        return Verdict(
            None, "error", parts=parts, detail=f"it returned {reward:g}, which is beyond {LARGEST:g}"
        )
    return Verdict(reward, parts=parts, detail=detail)


def usable(value: float) -> bool:
    """Whether a number is finite and small enough to leave the others beside it their digits."""
    return abs(value) <= LARGEST  # false of NaN


def _number(value: Any) -> float | None:
    item = getattr(value, "item", None)  # numpy and torch scalars
    if callable(item):
        try:
            value = item()
        except (ValueError, RuntimeError):  # more than one element
            return None
    if not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def failure(error: BaseException) -> Verdict:
    """The verdict for an exception: `timeout` for a TimeoutError, else `error`, with its traceback."""
    return Verdict(None, "timeout" if isinstance(error, TimeoutError) else "error", detail=describe(error))


async def score_all(
    function: Callable[..., Any],
    name: str,
    problems: Sequence[Problem],
    texts: Sequence[str],
    trainer_state: Mapping[str, Any],
) -> list[Verdict]:
    """One verdict for each of `texts[R]`, attempts at `problems[R]`.

    An exception, and a list that is none or of another length, is the status of every rollout of its call. Raises
    RewardError, naming the function, if it needs a data column that the problems do not have.
    """
    if len(problems) != len(texts):
        raise ValueError(f"{len(problems)} problems but {len(texts)} texts")
    if not texts:
        return []
    form = form_of(function, name)
    if form == "trl":
        return await _score_trl(function, name, problems, texts, trainer_state)
    verdicts = []
    for problem, text in zip(problems, texts, strict=True):
        arguments: dict[str, Any]
        if form == "verl":
            arguments = _verl_arguments(function, problem, text)
        elif form == "problem":
            arguments = {"problem": problem, "text": text}
        else:
            arguments = {"text": text, "answer": problem.answer}
        try:
            verdicts.append(verdict_of(await _called(function, arguments)))
        except Exception as error:
            verdicts.append(failure(error))
    return verdicts


async def _called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    value = function(**arguments)
    return await value if inspect.isawaitable(value) else value


def _verl_arguments(function: Callable[..., Any], problem: Problem, text: str) -> dict[str, Any]:
    columns = data_columns(problem)
    everything = {
        "data_source": columns.get("data_source", problem.task),
        "solution_str": text,
        "ground_truth": problem.answer,
        "extra_info": columns.get("extra_info", columns),
    }
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return everything
    return {key: value for key, value in everything.items() if key in parameters}


async def _score_trl(
    function: Callable[..., Any],
    name: str,
    problems: Sequence[Problem],
    texts: Sequence[str],
    trainer_state: Mapping[str, Any],
) -> list[Verdict]:
    rows = [data_columns(p) for p in problems]
    shared = [key for key in rows[0] if key not in _RESERVED and all(key in row for row in rows)]
    extras: dict[str, list[Any]] = {}
    metrics: dict[str, float] = {}
    arguments: dict[str, Any] = {key: [row[key] for row in rows] for key in shared}
    arguments |= {
        "prompts": [p.prompt if isinstance(p.prompt, str) else [dict(m) for m in p.prompt] for p in problems],
        "completions": [_completion(p, t) for p, t in zip(problems, texts, strict=True)],
        "trainer_state": trainer_state,
        "log_extra": lambda column, values: extras.__setitem__(str(column), list(values)),
        "log_metric": lambda metric, value: metrics.__setitem__(str(metric), float(value)),
    }
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for p in parameters:
        if (
            p.default is p.empty
            and p.name not in arguments
            and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ):
            raise RewardError(
                f"The reward `{name}` needs `{p.name}`, which is no column of these problems.",
                f"They have {', '.join(sorted(shared))}; give `{p.name}` a default if it is optional.",
            )
    if not takes_all:
        # TRL's documentation asks for **kwargs; a function without it is given what it names.
        names = {p.name for p in parameters}
        arguments = {key: value for key, value in arguments.items() if key in names}
    try:
        returned = await _called(function, arguments)
    except Exception as error:
        return [failure(error)] * len(texts)
    values = returned.tolist() if hasattr(returned, "tolist") else returned
    if wrong := _wrong(values, extras, len(texts)):
        return [Verdict(None, "error", detail=f"the reward `{name}` {wrong}")] * len(texts)
    return [_trl_verdict(value, i, extras, metrics) for i, value in enumerate(values)]


def _wrong(values: Any, extras: Mapping[str, list[Any]], count: int) -> str:
    """How what was returned and logged breaks the contract of one value for each of `count` completions, or ''."""
    if not isinstance(values, list | tuple):
        return f"returned {type(values).__name__}, not a list of {count} values"
    if len(values) != count:
        return f"returned {len(values)} values for {count} completions"
    for column, logged in extras.items():
        if len(logged) != count:
            return f"logged {len(logged)} `{column}` values for {count} completions"
    return ""


_RESERVED = ("prompt", "prompts", "completion", "completions", "completion_ids")


def _completion(problem: Problem, text: str) -> Any:
    return text if isinstance(problem.prompt, str) else [{"role": "assistant", "content": text}]


def _trl_verdict(value: Any, i: int, extras: dict[str, list[Any]], metrics: dict[str, float]) -> Verdict:
    logged = {column: column_values[i] for column, column_values in extras.items()} | metrics
    numbers_of = {key: _number(one) for key, one in logged.items()}
    parts = {key: number for key, number in numbers_of.items() if number is not None and usable(number)}
    words = [f"{key}={one}" for key, one in logged.items() if key not in parts]
    return verdict_of(value, parts, "; ".join(words)[:2_000])
