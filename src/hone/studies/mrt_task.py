"""MRT on a search that can be cut short: a small transformer names two numbers with a given sum, after trying pairs.

The warm start has learnt to add, to try pairs at random, to answer when one is right, and to give up at a rate: it has
both to lose and to gain by thinking longer. The learning rate is the better of 2e-4 and 5e-4 for the outcome's arm, on
a seed of its own. Beyond the training length thinking is forced on until it closes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.core.sampling import SamplingParams
from hone.engines import choose
from hone.episodes import Thinking
from hone.episodes.segmentation import Segmentation
from hone.lab.claims import Claim
from hone.policies.loading import load_policy
from hone.recipes.load import resolve
from hone.studies import warm_start
from hone.studies.harness import Cell, Result, Results, Study, device
from hone.tasks import make
from hone.training.judging import build_judge
from hone.training.progress import Quiet
from hone.training.run import execute
from hone.training.thinking import measure_thinking

SEEDS = range(3)
LENGTH = 64  # tokens that training allows
SMALL = 24  # tokens: what a small budget is, about three attempts
RETRY = "?"  # what makes the search go on
TASK: dict[str, Any] = {"name": "two_sum", "numbers": 5}
THINKING: dict[str, Any] = {
    "close": "#",
    "force": "#",
    "split": {"separator": "\n", "episodes": 8},
    "answer_tokens": 6,
}
WARM: dict[str, Any] = {
    "task": TASK, "model": "sprout", "method": "sft",
    "episode": {"name": "demonstration", "mix": {"wandering": 0.6, "hasty": 0.3, "direct": 0.1}},
    "num_generations": 4, "problems_per_step": 16, "steps": 2000, "max_completion_length": LENGTH,
    "learning_rate": 2e-3, "warmup_steps": 20, "betas": [0.9, 0.98], "eval": {"problems": 8, "samples": 2, "k": [1]},
}  # fmt: skip
REINFORCED: dict[str, Any] = {
    "task": TASK, "max_completion_length": LENGTH, "num_generations": 8, "problems_per_step": 8, "steps": 60,
    "learning_rate": 2e-4, "eval": {"before": False, "problems": 8, "samples": 2, "k": [1]},
}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {
    "outcome": {"method": "rloo", "reduction": "sequence_sum"},
    "mrt": {"method": "mrt", "episode": {"name": "thinking", "branches": 8, **THINKING}},
    "mrt_rl": {
        "method": "rloo", "reduction": "sequence_sum", "num_generations": 16,
        "episode": {"name": "continuation", **THINKING},
        "rewards": ["verifier", "termination_baseline"],
        "credit": {"name": "reinforce", "baseline": "none"},
        "selectors": ["continuations"],
    },
    "length_penalty": {
        "method": "rloo", "reduction": "sequence_sum", "rewards": ["verifier", "length_penalty"],
    },
}  # fmt: skip
CUTOFFS = (SMALL, LENGTH, 2 * LENGTH, 3 * LENGTH)

CLAIMS = (
    Claim(
        "T3 same end",
        "Progress reaches the success of outcome reward at the end of the training budget.",
        f"success within {LENGTH} tokens, MRT less outcome-only",
        ">",
        -0.03,
    ),
    Claim(
        "T3 regret",
        "Outcome reward has the higher regret.",
        f"normalised regret over {LENGTH} tokens, outcome-only less MRT",
        ">",
        0.0,
    ),
    Claim(
        "T3 penalty helps small",
        "A length penalty lowers regret at small budgets.",
        f"normalised regret over {SMALL} tokens, outcome-only less length penalty",
        ">",
        0.0,
    ),
    Claim(
        "T3 penalty hurts large",
        "A length penalty hurts success at large budgets.",
        f"success within {LENGTH} tokens, outcome-only less length penalty",
        ">",
        0.0,
    ),
    Claim(
        "T5 growth",
        "Beyond the training budget success grows more under MRT than under outcome reward.",
        f"success within {3 * LENGTH} tokens, thinking forced on, less that within {LENGTH}: MRT less outcome-only",
        ">",
        0.0,
    ),
)


def cells(short: bool) -> list[Cell]:
    """One cell an arm and seed; those that claims compare come first, seed by seed."""
    dials: dict[str, Any] = {"warm": WARM, "train": REINFORCED, "problems": 96, "samples": 4, "extend": 8}
    seeds = SEEDS
    if short:
        seeds, tiny = range(1), {"problems_per_step": 2, "steps": 1}
        dials = {
            "warm": {**WARM, **tiny, "model": "micro:new"}, "train": {**REINFORCED, **tiny},
            "problems": 2, "samples": 1, "extend": 1,
        }  # fmt: skip
    order = sorted((arm == "mrt_rl", seed, arm) for arm in ARMS for seed in seeds)
    return [Cell(arm, seed, {**dials, "arm": ARMS[arm]}) for _, seed, arm in order]


def run(cell: Cell) -> Result:
    """Train from the warm start, then think about held-out problems, within the training budget and three times it."""
    dials: Mapping[str, Any] = cell.settings
    model = str(warm_start.warm_start({**dials["warm"], "device": device()}))
    recipe = {**dials["train"], **dials["arm"], "model": model, "seed": cell.seed, "device": device()}
    task = make("two_sum", numbers=TASK["numbers"])
    episode = Thinking(
        close="#", force="#", split=Segmentation(THINKING["split"]["separator"]), branches=8, answer_tokens=6,
        extend=dials["extend"], extend_tokens=LENGTH, words=(RETRY,),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as out:
        trained, _ = execute(resolve(recipe), Path(out) / "run", Quiet())
        lines = trained.metrics()
        policy = load_policy(str(trained.final), device=device())
        line = measure_thinking(
            policy, choose(policy)[0], task, build_judge(task, None), SamplingParams(LENGTH), episode,
            problems=dials["problems"], samples=dials["samples"], cutoffs=CUTOFFS,
        )  # fmt: skip
    rates = [x["pass_rate"] for x in lines]
    return {**line, "training_tokens": lines[-1]["sampled_tokens"], "pass_rates": rates}


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Paired differences of the seeds that both arms have."""

    def read(name: str, better: str, worse: str) -> np.ndarray:
        seeds = sorted(set(results.get(better, {})) & set(results.get(worse, {})))
        pairs = [(results[better][s][name]["value"], results[worse][s][name]["value"]) for s in seeds]
        return np.array([a - b for a, b in pairs])

    within, beyond = f"success@{LENGTH}", f"success@{3 * LENGTH}"
    return {
        "T3 same end": read(within, "mrt", "outcome"),
        "T3 regret": read(f"regret@{LENGTH}", "outcome", "mrt"),
        "T3 penalty helps small": read(f"regret@{SMALL}", "outcome", "length_penalty"),
        "T3 penalty hurts large": read(within, "outcome", "length_penalty"),
        "T5 growth": read(beyond, "mrt", "outcome") - read(within, "mrt", "outcome"),
    }


def curves(results: Results) -> list[dict[str, Any]]:
    """Regret and success against the budget."""
    found = []
    for name, words in (("regret", "normalised regret"), ("success", "success")):
        series = {}
        for arm, by_seed in results.items():
            values = np.array([[r[f"{name}@{c}"]["value"] for c in CUTOFFS] for r in by_seed.values()])
            spread = np.stack([values.min(0), values.max(0)])
            series[arm] = {
                "x": list(CUTOFFS), "y": values.mean(0).tolist(),
                "low": spread[0].tolist(), "high": spread[1].tolist(),
            }  # fmt: skip
        title = f"two-sum: {words}, range over seeds"
        found.append({"title": title, "x": "budget, tokens", "y": words, "series": series})
    return found


STUDY = Study(
    id="mrt_task",
    method="mrt",
    title="Two-sum: success within a budget of tokens",
    scale="sprout",
    budget=(
        "sprout (0.6 million parameters), one warm start of 2,000 supervised steps for all; 60 updates of 8 problems x "
        "8 traces of at most 64 tokens (mrt_rl: 16 rollouts, 8 of which answer at once); forced answers of mrt come on "
        "top; 3 seeds; measured on 96 problems x 4 traces x 8 answers a place"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, warm_start.__file__),
    curves=curves,
)
