"""Ray interference: easy problems beside hard ones that share features, and what guided prompts do about it.

Two groups of problems answer with a softmax over `answers`. A logit is √c · shared + √(1 − c) · the problem's own part
+ what the base knows. Easy problems have one right answer and hard ones another, so the shared part that easy problems
move takes probability away from what hard ones need (Schaul et al. 2019). The guided version of a hard problem has that
problem's own part and another base. Pass rates are read exactly.

In every arm each hard problem has two groups a step; easy problems come on top: no arm sees fewer hard rollouts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.lab.claims import Claim
from hone.studies import pope_lock
from hone.studies.harness import Cell, Results, Study
from hone.studies.pope_lock import credited, line, probabilities

if TYPE_CHECKING:
    from jaxtyping import Float, Int

POINTS = 40  # of a curve
EASY, HARD = 0, 1  # the right answers of the two groups


@dataclass(frozen=True)
class Rays:
    """The dials of a run. `kinds` are the groups that a step has of each problem."""

    answers: int = 16
    problems: int = 8  # easy, and as many hard
    rollouts: int = 16  # of a group
    steps: int = 400
    shared: float = 0.85  # c
    easy: float = 0.4  # pass rates of the base
    hard: float = 0.001
    guided: float = 0.05
    learning_rate: float = 1.0
    credit: str = "grpo"
    kinds: tuple[str, ...] = ("hard", "hard")
    k: int = 16  # of pass@k


def base_logits(answers: int, right: int, pass_rate: float) -> Float[np.ndarray, "answers"]:
    """Logits under which `right` has `pass_rate` and the others share the rest evenly."""
    logits = np.zeros(answers)
    logits[right] = np.log(pass_rate * (answers - 1) / (1 - pass_rate))
    return logits


def simulate(dials: Rays, seeds: Sequence[int]) -> dict[str, Any]:
    """One run a seed, side by side. Returns curves of pass@k on hard and of pass@1 on easy problems, over steps."""
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
    rates = {"easy": dials.easy, "hard": dials.hard, "guided": dials.guided}
    right = np.repeat([EASY if kind == "easy" else HARD for kind in dials.kinds], dials.problems)
    base = np.stack(
        [base_logits(dials.answers, EASY if kind == "easy" else HARD, rates[kind]) for kind in dials.kinds]
    ).repeat(dials.problems, axis=0)
    # Whose own part a group has: easy problems first, then hard ones with their guided versions.
    owner = np.concatenate(
        [np.arange(dials.problems) + (0 if kind == "easy" else dials.problems) for kind in dials.kinds]
    )
    shared = np.zeros((len(seeds), dials.answers))
    own = np.zeros((len(seeds), 2 * dials.problems, dials.answers))
    near, apart = np.sqrt(dials.shared), np.sqrt(1 - dials.shared)
    every = max(1, dials.steps // POINTS)
    curve: dict[str, list[Any]] = {"steps": [], "hard": [], "easy": []}
    for step in range(dials.steps + 1):
        if step % every == 0 or step == dials.steps:
            curve["steps"].append(step)
            hard, easy = _rates(dials, near * shared[:, None] + apart * own)
            curve["hard"].append((1 - (1 - hard) ** dials.k).mean(axis=1).tolist())
            curve["easy"].append(easy.mean(axis=1).tolist())
        if step == dials.steps:
            break
        chances = probabilities(base + near * shared[:, None] + apart * own[:, owner])
        uniform = np.stack([rng.random((len(owner), dials.rollouts)) for rng in rngs])
        picked = (uniform[..., None] > chances.cumsum(axis=-1)[:, :, None, :-1]).sum(axis=-1)
        advantages = credited(picked == right[:, None], dials.credit)
        move = dials.learning_rate * _ascent(picked, chances, advantages)
        shared += near * move.mean(axis=1)
        for group, problem in enumerate(owner):
            own[:, problem] += apart * move[:, group]
    return {**curve, "final_hard": curve["hard"][-1], "final_easy": curve["easy"][-1]}


def _rates(
    dials: Rays, logits: Float[np.ndarray, "seeds problems answers"]
) -> tuple[Float[np.ndarray, "seeds hard"], Float[np.ndarray, "seeds easy"]]:
    """Exact pass rates of the unguided problems."""
    hard = probabilities(base_logits(dials.answers, HARD, dials.hard) + logits[:, dials.problems :])
    easy = probabilities(base_logits(dials.answers, EASY, dials.easy) + logits[:, : dials.problems])
    return hard[..., HARD], easy[..., EASY]


def _ascent(
    picked: Int[np.ndarray, "seeds groups rollouts"],
    chances: Float[np.ndarray, "seeds groups answers"],
    advantages: Float[np.ndarray, "seeds groups rollouts"],
) -> Float[np.ndarray, "seeds groups answers"]:
    """Mean over a group's rollouts of A ∇logits log π(answer)."""
    chosen = np.stack(
        [((picked == answer) * advantages).sum(axis=-1) for answer in range(chances.shape[-1])], axis=-1
    )
    total = advantages.sum(axis=-1)[..., None]
    return np.asarray((chosen - total * chances) / advantages.shape[-1])


ARMS: Mapping[str, tuple[str, ...]] = {
    "hard": ("hard", "hard"),
    "hard and easy": ("hard", "hard", "easy"),
    "hard and guided": ("hard", "guided"),
    "hard, guided and easy": ("hard", "guided", "easy"),
}
CREDITS = ("grpo", "maxrl")
SEEDS = 32


def named(arm: str, credit: str) -> str:
    """What an arm under a credit piece is called."""
    return arm if credit == "grpo" else f"{arm} ({credit})"


def cells(short: bool) -> list[Cell]:
    """One cell an arm and credit, all seeds side by side in it."""
    shared = {"seeds": 2, "steps": 20} if short else {"seeds": SEEDS}
    return [
        Cell(named(arm, credit), 0, {**shared, "kinds": list(kinds), "credit": credit})
        for arm, kinds in ARMS.items()
        for credit in CREDITS
    ]


def run(cell: Cell) -> dict[str, Any]:
    """One arm."""
    settings = dict(cell.settings)
    seeds = settings.pop("seeds")
    found = simulate(Rays(**{**settings, "kinds": tuple(settings["kinds"])}), range(seeds))
    return {
        "curve": line(found["steps"], found["hard"]),
        "easy": line(found["steps"], found["easy"]),
        "final_hard": found["final_hard"],
    }


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Differences between arms of the final pass@k on hard problems."""
    if not set(ARMS) <= set(results):
        return {}
    final = {arm: np.array(found[0]["final_hard"]) for arm, found in results.items()}
    return {
        "T4 interference": final["hard"] - final["hard and easy"],
        "T4 recovery": final["hard, guided and easy"] - final["hard and easy"],
        "T4 whole": final["hard, guided and easy"] - final["hard"],
    }


def curves(results: Results) -> list[dict[str, Any]]:
    """pass@16 on hard problems over steps, by credit."""
    return [
        {
            "title": f"Hard problems under {credit}",
            "x": "steps",
            "y": "pass@16, exact",
            "series": {
                arm: results[named(arm, credit)][0]["curve"] for arm in ARMS if named(arm, credit) in results
            },
        }
        for credit in CREDITS
    ]


STUDY = Study(
    id="pope_rays",
    method="pope",
    title="Ray interference: easy problems beside hard ones",
    scale="tabular",
    budget=(
        "8 hard problems (pass rate 0.001) and 8 easy ones (0.4), softmax over 16 answers, 0.85 of a logit's variance "
        "shared, two groups of 16 a step for each hard problem and one for each easy one, 400 steps, grpo unless said "
        "otherwise, 32 seeds, exact pass@16"
    ),
    claims=(
        Claim(
            "T4 interference",
            "Adding easy problems lowers the final pass@16 of plain RL on hard ones.",
            "final hard pass@16, hard less hard and easy",
            ">",
            0.1,
        ),
        Claim(
            "T4 recovery",
            "Guided prompts recover it.",
            "final hard pass@16, hard, guided and easy less hard and easy",
            ">",
            0.1,
        ),
        Claim(
            "T4 whole",
            "They recover all of it.",
            "final hard pass@16, hard, guided and easy less hard",
            ">",
            -0.05,
        ),
    ),
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, pope_lock.__file__),
    curves=curves,
)
