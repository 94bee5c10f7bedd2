"""Worlds of the simulator: problems whose answers share features, told apart by a hidden teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hone.core.errors import TaskError
from hone.core.options import require

if TYPE_CHECKING:
    from jaxtyping import Float

POOL = 512  # problems made at a time, of which those of the wanted difficulty are taken
MOST_POOLS = 400


@dataclass(frozen=True)
class WorldDials:
    """How problems are made.

    An answer has `features` x of independent standard normals, and the right answer of a problem is the one that a
    hidden teacher scores highest: x·t + `teacher_noise` e, with |t| = 1 and e standard normal, drawn once for every
    answer. Noise makes problems that contradict each other, so that no policy solves all. The base policy scores an
    answer x·b with |b| = `base_scale` and cosine `base_skill` to the teacher. Problems are taken where the base
    policy's pass rate lies in `difficulty`, as problem sets of a real model are made. Held-out problems are made alike.

    `features` is below `problems` times `answers`: what is learnt of one answer moves others.
    """

    problems: int
    held_out: int
    answers: int
    features: int
    base_scale: float
    base_skill: float
    teacher_noise: float
    difficulty: tuple[tuple[float, float], ...]  # equal parts of the problems in each range of the pass rate

    def __post_init__(self) -> None:
        for key in ("problems", "held_out", "features"):
            require(key, getattr(self, key), getattr(self, key) >= 1, "1 or more")
        require("answers", self.answers, self.answers >= 2, "2 or more")
        require("base_skill", self.base_skill, -1 <= self.base_skill <= 1, "a cosine, from -1 to 1")
        good = len(self.difficulty) > 0 and all(0 <= low < high <= 1 for low, high in self.difficulty)
        require("difficulty", self.difficulty, good, "ranges (low, high) of a pass rate, low < high")


@dataclass(frozen=True, eq=False)
class World:
    """The problems of one seed: what is trained on, and what is held out. The right answer of each is answer 0."""

    features: Float[np.ndarray, "problems answers features"]
    base: Float[np.ndarray, "problems answers"]  # logits of the base policy
    held_features: Float[np.ndarray, "held answers features"]
    held_base: Float[np.ndarray, "held answers"]


def make_world(dials: WorldDials, seed: int) -> World:
    """The world of `seed`. Raises TaskError where hardly any problem has the wanted difficulty."""
    rng = np.random.default_rng(seed)
    teacher = rng.standard_normal(dials.features)
    teacher /= np.linalg.norm(teacher)
    other = rng.standard_normal(dials.features)
    other -= teacher * (other @ teacher)
    # With one feature there is no other direction.
    other /= max(float(np.linalg.norm(other)), 1e-12)
    base = dials.base_scale * (dials.base_skill * teacher + np.sqrt(1 - dials.base_skill**2) * other)
    parts = len(dials.difficulty)
    found: list[list[np.ndarray]] = [[], []]
    for part, bounds in enumerate(dials.difficulty):
        wanted = [(n * (part + 1)) // parts - (n * part) // parts for n in (dials.problems, dials.held_out)]
        x = _select(rng, dials, teacher, base, bounds, sum(wanted))
        found[0].append(x[: wanted[0]])
        found[1].append(x[wanted[0] :])
    train, held = np.concatenate(found[0]), np.concatenate(found[1])
    return World(train, train @ base, held, held @ base)


def one_problem(answers: int, pass_rate: float) -> World:
    """A single tabular problem: wrong answers are equally likely at first, the right one has `pass_rate`.

    It has one feature, which is 0 everywhere: simulate it with `share=0`.
    """
    require("pass_rate", pass_rate, 0 < pass_rate < 1, "between 0 and 1")
    nothing = np.zeros((1, answers, 1))
    base = np.zeros((1, answers))
    base[0, 0] = np.log(pass_rate * (answers - 1) / (1 - pass_rate))
    return World(nothing, base, nothing, base)


def softmax(logits: Float[np.ndarray, "... answers"]) -> Float[np.ndarray, "... answers"]:
    """Probabilities of answers."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _select(
    rng: np.random.Generator,
    dials: WorldDials,
    teacher: Float[np.ndarray, "features"],
    base: Float[np.ndarray, "features"],
    bounds: tuple[float, float],
    wanted: int,
) -> Float[np.ndarray, "wanted answers features"]:
    """Features of the first `wanted` problems in range, the right answer moved to place 0."""
    kept: list[np.ndarray] = []
    for _ in range(MOST_POOLS):
        x = rng.standard_normal((POOL, dials.answers, dials.features))
        score = x @ teacher + dials.teacher_noise * rng.standard_normal((POOL, dials.answers))
        right = score.argmax(axis=1)
        rate = softmax(x @ base)[np.arange(POOL), right]
        good = np.flatnonzero((rate >= bounds[0]) & (rate <= bounds[1]))
        for i in good:
            kept.append(np.concatenate([x[i, right[i] : right[i] + 1], np.delete(x[i], right[i], axis=0)]))
        if len(kept) >= wanted:
            return np.stack(kept[:wanted])
    raise TaskError(
        f"Of {MOST_POOLS * POOL} problems only {len(kept)} have a pass rate in {bounds}; {wanted} are wanted.",
        "Change `base_scale` or `base_skill`, or the range.",
    )
