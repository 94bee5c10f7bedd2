"""Recipes that went wrong in every way that a hand, a script or an editor can make them go wrong, by hypothesis."""

from __future__ import annotations

import contextlib
import copy
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from hone.catalog import REGISTRY, STAGE_KEYS
from hone.core.recipe import Recipe
from hone.core.registry import option_types
from hone.methods import cards
from hone.recipes import load
from hone.tasks import TASKS

BLOCKS = {
    name: list(field.annotation.model_fields)
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    and field.annotation is not Recipe.model_fields["task"].annotation
}  # fmt: skip
STAGES = [stage for stage in STAGE_KEYS if stage in REGISTRY.pieces]
OPTIONS = {
    s: sorted({o for n in REGISTRY.names(s) for o in option_types(REGISTRY.get(s, n))}) for s in STAGES
}
KEYS = (
    *(key for key in Recipe.model_fields if key not in BLOCKS),
    *(f"{block}.{key}" for block, keys in BLOCKS.items() for key in keys),
    *(f"{stage}.{option}" for stage, options in OPTIONS.items() for option in options),
    *sorted({option for options in OPTIONS.values() for option in options}),
    *("task.sizes", "task.weights", "phases", "reward.seconds"),
)
NAMES = (
    *(n for s in STAGES for n in REGISTRY.names(s)),
    *cards.ids(),
    *map(str, TASKS),
    "none",
    "auto",
    "sprout",
)

NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([2**31, 2**63, 2**64, -(10**9), 10**12, 10**40, 10**400, 10**5000]),
    st.sampled_from(
        [0.0, -0.0, 0.5, 1.5, 1e-12, 1e-300, 1e300, -1.0, float("nan"), float("inf"), -float("inf")]
    ),
)
TEXTS = st.one_of(
    st.sampled_from(["", " ", "on", "off", "yes", "null", "~", "1e-6", "1,2", "010", "auto", "none", "NaN"]),
    st.sampled_from(["\x00", "\x1b[2J", "\ud800", "\u202e", "é", "日本", "x" * 5000, "../..", "${HOME}"]),
    st.sampled_from(["a: b", "!!python/none", "{", "[1,", "{{ 7 }}"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES).map(lambda name: name[:-1] + "x"),
    st.text(max_size=8),
)
SCALARS = st.one_of(NUMBERS, TEXTS, st.booleans(), st.none())
OPTION_NAMES = st.sampled_from(sorted({o for options in OPTIONS.values() for o in options}))
PIECES = st.fixed_dictionaries({"name": st.one_of(st.sampled_from(NAMES), SCALARS)}).flatmap(
    lambda named: st.dictionaries(OPTION_NAMES, SCALARS, max_size=2).map(lambda options: {**named, **options})
)
VALUES = st.one_of(
    SCALARS,
    SCALARS,
    PIECES,
    st.lists(st.one_of(SCALARS, PIECES), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=5), st.integers(0, 3)), SCALARS, max_size=3),
    st.just([[[[{"a": [{}]}]]]]),
)


@dataclass(frozen=True)
class Mutation:
    """One thing that went wrong: `kind` with a key, and a value where it needs one."""

    kind: str
    key: str
    value: Any = None


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


@dataclass(frozen=True)
class Case:
    """A recipe to start from, its method, and what went wrong with it."""

    base: str
    method: str | None
    mutations: tuple[Mutation, ...]
    form: str  # mapping, file, words
    draw: int  # decides which are run

    def data(self) -> dict[str, Any]:
        """The recipe as a mapping."""
        data = copy.deepcopy(load.read(self.base))
        data.setdefault("task", {"name": "maze", "sizes": 5})
        if self.method is not None:
            data["method"] = self.method
        for mutation in self.mutations:
            apply(data, mutation)
        return data

    def words(self) -> list[str]:
        """The recipe's name, and what is set wrong as words of a command line."""
        pairs = [(m.key, m.value) for m in self.mutations if m.kind == "set"]
        return [self.base, *(f"{key}={_word(value)}" for key, value in pairs)]

    def text(self) -> str:
        """The recipe as a file: of a mapping, with lines that only a file can have."""
        text = yaml.safe_dump(self.data(), allow_unicode=True, sort_keys=False)
        for mutation in self.mutations:
            if mutation.kind == "line":
                text += str(mutation.value)
        return text


LINES = (
    *(
        "seed: 1\nseed: 2\n",
        "eval: {every: 3}\n",
        "on: 1\n",
        "- a\n",
        "? x\n",
        "a: &a [*a]\n",
        "\t\n",
        "%\n",
        "---\n",
    ),
    *(
        "steps: !!int a\n",
        "steps: 1:30\n",
        "steps: .5.\n",
        "steps: 3 # three\n",
        "seed: 2026-01-01\n",
        "seed: 0o17\n",
    ),
    *("stop: &s [a, b]\ncredit: *s\n", "stop: [off]\n", "model: no\n", "<<: {seed: 3}\n", "...\nx"),
)


def apply(data: dict[Any, Any], mutation: Mutation) -> None:
    """Change `data` in place."""
    parent, dot, key = mutation.key.partition(".")
    node: Any = data
    if dot:
        below = data.get(parent)
        if isinstance(below, str):
            below = data[parent] = {"name": below}
        if not isinstance(below, dict):
            below = data[parent] = {}
        node = below
    else:
        key = parent
    if mutation.kind == "set":
        node[key] = mutation.value
    elif mutation.kind == "remove":
        node.pop(key, None)
    elif mutation.kind == "misspell" and key in node:
        node[f"{key[:-1]}{key[-1] * 2}"] = node.pop(key)
    elif mutation.kind == "nest" and key in node:
        node[key] = {"value": node[key]}
    elif mutation.kind == "list" and key in node:
        node[key] = [node[key]]
    elif mutation.kind == "scale" and isinstance(node.get(key), int | float):
        node[key] = node[key] * mutation.value


def _writable(mutation: Mutation) -> bool:
    """Whether a file can hold the value: not a number of thousands of digits, nor half a character."""
    try:
        yaml.safe_dump(mutation.value, allow_unicode=True).encode()
    except ValueError:
        return False
    return True


@st.composite
def cases(draw: Any) -> Case:
    """A shipped recipe with up to four things wrong: keys and values from the schema and the registry as they are."""
    kinds = st.sampled_from(
        ["set", "set", "set", "set", "remove", "misspell", "nest", "list", "scale", "line"]
    )
    mutations = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(kinds)
        value: Any = None
        if kind == "set":
            value = draw(VALUES)
        elif kind == "line":
            value = draw(st.sampled_from(LINES))
        elif kind == "scale":
            value = draw(st.sampled_from([-1, 0, 3, 10**6, 10**15, 0.5]))
        mutations.append(Mutation(kind, draw(st.sampled_from(KEYS)), value))
    forms = ["mapping", "file", "words"] if all(map(_writable, mutations)) else ["mapping"]
    return Case(
        draw(st.sampled_from(load.names())),
        draw(st.one_of(st.none(), st.sampled_from(cards.ids()))),
        tuple(mutations),
        draw(st.sampled_from(forms)),
        draw(st.integers(0, 999)),
    )


SIZES = {  # the most that a run of a test has of each
    "steps": 1,
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 6,
    "num_iterations": 2,
    "warmup_steps": 1,
    "eval.problems": 1,
    "eval.samples": 1,
    "eval.samples_during": 1,
}


def small(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the numbers that make a run long cut down where they are numbers, and the embedded model tiny."""
    data = copy.deepcopy(data)
    for dotted, most in SIZES.items():
        block, dot, key = dotted.partition(".")
        node = data.setdefault(block, {}) if dot else data
        if isinstance(node, dict):
            default = Recipe.model_fields[block].default
            present = node.get(key if dot else block, getattr(default, key) if dot else default)
            if isinstance(present, int) and present > most:
                node[key if dot else block] = most
    if data.get("model", "sprout") in ("sprout", "sprout:new"):
        data["model"] = "micro:new"
    if data.get("compile") is True:
        data["compile"] = False
    if data.get("minibatches") not in (None, 1) and isinstance(data["minibatches"], int):
        data["minibatches"] = min(data["minibatches"], 2)
    if isinstance(data.get("k"), int):
        data["k"] = min(data["k"], 4)
    for key, node in (("task", data), ("task", data.get("eval"))):
        if (
            isinstance(node, dict)
            and isinstance(node.get(key), dict)
            and node[key].get("name") in ("maze", "mixture")
        ):
            extra = {k: v for k, v in node[key].items() if k not in ("name", "sizes", "tasks", "weights")}
            node[key] = {"name": "maze", "sizes": 5, **extra}
    if isinstance(data.get("phases"), list):
        data["phases"] = [small_phase(p) if isinstance(p, dict) else p for p in data["phases"]]
    return data


def small_phase(phase: dict[str, Any]) -> dict[str, Any]:
    """What a phase sets of that itself, cut down alike; the rest it has from the recipe."""
    cut = small({key: value for key, value in phase.items() if key != "phases"})
    own = set(phase) | {"model"} if "model" in phase else set(phase)
    return {key: value for key, value in cut.items() if key in own}


class Hang(BaseException):
    """Raised in a recipe that does not come to an end."""


@contextlib.contextmanager
def ends(processor: float, wall: float) -> Iterator[None]:
    """Raise Hang after so many seconds of the processor, or on the clock: a machine may stop a process for a while."""

    def stop(number: int, frame: Any) -> None:
        raise Hang(f"after {processor} s of the processor or {wall} s")

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_PROF, processor)
    signal.setitimer(signal.ITIMER_REAL, wall)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
