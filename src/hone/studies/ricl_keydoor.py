"""RICL and RICOL on the key-door line: advantages against exact ones, noisy feedback, steps to success.

Everything is a table, and all seeds are run at once. Reflectors: `names` is privileged and says which action is better,
wrongly with a stated probability; `judges` says whether the action taken led to more than the exact value, and knows
nothing else; `learnt` names the action with the larger mean return in the attempts so far. In-context policies: `bonus`
adds 2 nats to what the feedback names, `follow` gives it 95% whatever the policy was.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from hone.credit import reinforce, rwr
from hone.environments import exact
from hone.lab.claims import Claim
from hone.rewards.in_context import centred_advantage, soft_targets
from hone.studies.harness import Cell, Results, Study

SEEDS = 16
DISCOUNT = 0.99
BONUS, FOLLOW = 2.0, 0.95
LINE, LONG = 7, 11  # cells: of the advantages and of noise, and of steps to success
COUNTS = (10, 30, 100, 300, 1000)
NOISES = (0.0, 0.05, 0.1)
ALPHAS = (0.1, 0.25, 0.5, 0.75, 1.0)
ITERATIONS, ATTEMPTS = 40, 8  # of the noise arms; attempts of one step everywhere
LEVEL, MOST_STEPS = 0.8, 400_000
RATES = {"reinforce": (1.0, 3.0, 10.0, 30.0), "rwr": (0.1, 0.2, 0.5, 1.0)}

CLAIMS = (
    Claim(
        "T3_beats_mc10",
        "With 10 trajectories a state and a reflector that is wrong 10% of the time, RICL's advantages are closer to "
        "the exact ones than Monte Carlo's with 10.",
        "correlation with the exact advantages, RICL at 10 less Monte Carlo at 10",
        ">",
        0.0,
    ),
    Claim(
        "T3_like_mc300",
        "They are as close as Monte Carlo's with 300.",
        "correlation with the exact advantages, RICL at 10 (10% wrong) less Monte Carlo at 300",
        ">",
        -0.05,
    ),
    Claim(
        "T3_error_beats_mc10",
        "The same by squared error, each after its best scale.",
        "log2 of the error of RICL at 10 (10% wrong) over that of Monte Carlo at 10",
        "<",
        0.0,
    ),
    Claim(
        "T3_error_like_mc300",
        "By squared error it is within a factor of two of Monte Carlo with 300.",
        "log2 of the error of RICL at 10 (10% wrong) over that of Monte Carlo at 300",
        "<",
        1.0,
    ),
    Claim(
        "T3_judges",
        "A reflector that only compares an outcome with the exact value beats Monte Carlo, both at 10.",
        "correlation with the exact advantages, RICL `judges` at 10 less Monte Carlo at 10",
        ">",
        0.0,
    ),
    Claim(
        "T4_improves",
        "With feedback that is right 70% of the time RICOL still improves (`bonus`, alpha 0.5).",
        "mean success over the last ten steps less that of the start",
        ">",
        0.1,
    ),
    Claim(
        "T4_improves_follow",
        "The same where feedback is followed whatever the policy was (`follow`, alpha 0.5).",
        "mean success over the last ten steps less that of the start",
        ">",
        0.1,
    ),
    Claim(
        "T4_alpha",
        "With 30% wrong feedback alpha 1 is worse than alpha 0.5 (`bonus`).",
        "mean success over the last ten steps, alpha 1 less alpha 0.5",
        "<",
        0.0,
    ),
    Claim(
        "T4_alpha_follow",
        "The same with `follow`.",
        "mean success over the last ten steps, alpha 1 less alpha 0.5",
        "<",
        0.0,
    ),
    Claim(
        "T5_rwr",
        f"RICOL (`names`, 10% wrong) reaches {LEVEL:g} success with a fifth of the steps of RWR at its best rate.",
        "log2 of environment steps, RWR over RICOL; a run that never gets there counts its whole budget",
        ">",
        float(np.log2(5)),
    ),
    Claim(
        "T5_reinforce",
        "The same against REINFORCE at its best rate.",
        "log2 of environment steps, REINFORCE over RICOL; as above",
        ">",
        float(np.log2(5)),
    ),
    Claim(
        "T5_learnt",
        "The same against REINFORCE, where the reflector has nothing but the attempts (`learnt`).",
        "log2 of environment steps, REINFORCE over RICOL `learnt`; as above",
        ">",
        float(np.log2(5)),
    ),
)


def cells(short: bool) -> list[Cell]:
    """An arm a cell, with all seeds in it."""
    seeds = 4 if short else SEEDS
    most = 20_000 if short else MOST_STEPS
    counts = COUNTS[:2] if short else COUNTS
    arms: list[tuple[str, dict[str, Any]]] = [("advantages", {"counts": list(counts)})]
    for form in ("bonus", "follow"):
        for alpha in ALPHAS[2:3] + ALPHAS[4:] if short else ALPHAS:
            arms.append((f"noise_{form}_{alpha:g}", {"form": form, "alpha": alpha}))
    arms += [(f"steps_{name}", {"learner": name, "most": most}) for name in ("names", "learnt", *RATES)]
    return [Cell(name, 0, {"seeds": seeds, **settings}) for name, settings in arms]


def run(cell: Cell) -> dict[str, Any]:
    """All seeds of one arm."""
    settings = cell.settings
    if cell.name == "advantages":
        return compare_advantages(settings["seeds"], tuple(settings["counts"]))
    if cell.name.startswith("noise"):
        start, curve = noisy(settings["seeds"], settings["form"], settings["alpha"])
        return {"start": start, "success": curve.mean(0).tolist(), "last": curve[:, -10:].mean(1).tolist()}
    learner, most = settings["learner"], settings["most"]
    rate = None
    if learner in RATES:
        tried = {
            r: steps_to_level(learner, r, settings["seeds"], most, first=1000)[0] for r in RATES[learner]
        }
        rate = min(tried, key=lambda r: (float(np.median(tried[r])), r))
    steps, averaged = steps_to_level(learner, rate, settings["seeds"], most, first=0)
    return {"steps": steps.tolist(), "rate": rate, "curve": averaged}


# T3: advantages of a random policy.


def compare_advantages(seeds: int, counts: tuple[int, ...]) -> dict[str, Any]:
    """Correlation and scaled squared error of every estimate, by seed."""
    of = exact.tables(LINE)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 0.5, (seeds, 2 * LINE, 2))
    policy = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    truth, values = exact.advantages(of, policy, DISCOUNT)
    found: dict[str, Any] = {}
    for n in counts:
        actions, returns = monte_carlo(of, policy, n, rng)
        found[f"mc_{n}"] = mean_advantages(actions, returns)
        if n == counts[0]:
            good = returns > values[..., of.real, None]
            found["ricl_judges"] = retrospective(policy[:, of.real], np.where(good, actions, 1 - actions))
    best = truth[:, of.real].argmax(-1)[..., None]
    for noise in NOISES:
        wrong = rng.random((seeds, of.real.sum(), counts[0])) < noise
        found[f"ricl_names_{noise:g}"] = retrospective(policy[:, of.real], np.where(wrong, 1 - best, best))
    return {name: scores(estimate, truth[:, of.real]) for name, estimate in found.items()}


def monte_carlo(
    of: exact.Tables, policy: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """First actions and discounted returns of `n` attempts from every real state, `[seeds, real, n]` each."""
    seeds, at = len(policy), np.flatnonzero(of.real)
    shape = (seeds, len(at), n)
    seed = np.broadcast_to(np.arange(seeds)[:, None, None], shape).reshape(-1)
    state = np.broadcast_to(at[None, :, None], shape).reshape(-1).copy()
    first, returns = np.zeros(len(state), int), np.zeros(len(state))
    alive, worth, taken = np.arange(len(state)), 1.0, 0
    while len(alive) and worth > 1e-4:
        action = (rng.random(len(alive)) < policy[seed[alive], state[alive], 1]).astype(int)
        if not taken:
            first = action
        won = of.solved[state[alive], action]
        returns[alive[won]] = worth
        state[alive] = of.following[state[alive], action]
        alive, worth, taken = alive[~won], worth * DISCOUNT, taken + 1
    return first.reshape(shape), returns.reshape(shape)


def mean_advantages(actions: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Mean return of each first action less that of all; zero for an action that was never taken."""
    out = []
    for action in (0, 1):
        mine = actions == action
        count = mine.sum(-1)
        mean = (returns * mine).sum(-1) / np.maximum(count, 1)
        out.append(np.where(count > 0, mean - returns.mean(-1), 0.0))
    return np.stack(out, -1)


def in_context(before: torch.Tensor, named: torch.Tensor, form: str) -> torch.Tensor:
    """Logprobs of the policy that has read which action is named: `[..., 2]` of `before[..., 2]`, `named[...]`."""
    marked = torch.nn.functional.one_hot(named, 2).to(before.dtype)
    if form == "bonus":
        return torch.log_softmax(before + BONUS * marked, -1)
    return torch.log(marked * FOLLOW + (1 - marked) * (1 - FOLLOW))


def retrospective(policy: np.ndarray, named: np.ndarray) -> np.ndarray:
    """RICL's advantages `[seeds, states, 2]` from `named[seeds, states, n]`, n actions that feedback named."""
    before = torch.from_numpy(np.log(policy))
    after = torch.stack(
        [in_context(before, torch.from_numpy(named[..., i]), "bonus") for i in range(named.shape[-1])]
    )
    return centred_advantage(before, after)[0].numpy()


def scores(estimate: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """By seed: correlation over states and actions, and mean squared error after the best scale over that of zero."""
    out: dict[str, list[float]] = {"correlation": [], "error": []}
    for a, b in zip(estimate.reshape(len(estimate), -1), truth.reshape(len(truth), -1)):
        scale = (a @ b) / (a @ a) if a.any() else 0.0
        out["correlation"].append(float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 else 0.0)
        out["error"].append(float(((scale * a - b) ** 2).sum() / (b**2).sum()))
    return out


# T4 and T5: learning.


def attempts(
    of: exact.Tables, policy: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and whether a decision was made, `[seeds, attempts, horizon]`, and rewards of the attempts."""
    seeds = len(policy)
    shape = (seeds, ATTEMPTS)
    rows = np.arange(seeds)[:, None]
    state, alive, reward = np.full(shape, of.start), np.ones(shape, bool), np.zeros(shape)
    seen = []
    for _ in range(of.horizon):
        action = (rng.random(shape) < policy[rows, state, 1]).astype(int)
        seen.append((state, action, alive))
        won = alive & of.solved[state, action]
        reward = reward + won
        state = np.where(alive, of.following[state, action], state)
        alive = alive & ~won
    states, actions, made = (np.stack(part, -1) for part in zip(*seen))
    return states, actions, made, reward


def sums(values: np.ndarray, states: np.ndarray, made: np.ndarray, size: int) -> np.ndarray:
    """Sum of `values[seeds, attempts, horizon, 2]` over the decisions made in each state, `[seeds, size, 2]`."""
    out = np.zeros((len(states), size, 2))
    rows = np.broadcast_to(np.arange(len(states))[:, None, None], states.shape)
    np.add.at(out, (rows[made], states[made]), values[made])
    return out


def distil(policy: np.ndarray, states: np.ndarray, made: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The policy at the minimum of the soft-label loss: in a table, the mean target of each state that was visited."""
    size = policy.shape[1]
    total = sums(targets, states, made, size)
    visits = sums(np.ones_like(targets), states, made, size)
    return np.where(visits > 0, total / np.maximum(visits, 1), policy)


def retrospect(
    policy: np.ndarray, states: np.ndarray, named: np.ndarray, heard: np.ndarray, form: str, alpha: float
) -> np.ndarray:
    """Soft targets of every decision; where nothing was `heard` the policy itself."""
    rows = np.arange(len(policy))[:, None, None]
    before = torch.from_numpy(np.log(policy[rows, states]))
    after = in_context(before, torch.from_numpy(named), form)
    targets = soft_targets(before, after[None], alpha).numpy()
    return np.where(heard[..., None], targets, before.exp().numpy())


def noisy(seeds: int, form: str, alpha: float) -> tuple[float, np.ndarray]:
    """Success at the start, and after every step `[seeds, steps]`, with feedback that is wrong 30% of the time."""
    of, rng = exact.tables(LINE), np.random.default_rng(round(1000 * alpha))
    policy = np.full((seeds, 2 * LINE, 2), 0.5)
    start = float(exact.success(of, policy)[0])
    curve = []
    for _ in range(ITERATIONS):
        states, _, made, _ = attempts(of, policy, rng)
        named = right_action(states, LINE) ^ (rng.random(states.shape) < 0.3)
        targets = retrospect(policy, states, named.astype(np.int64), made, form, alpha)
        policy = distil(policy, states, made, targets)
        curve.append(exact.success(of, policy))
    return start, np.stack(curve, -1)


def right_action(states: np.ndarray, length: int) -> np.ndarray:
    """To the left without the key, to the right with it."""
    return states >= length


def steps_to_level(
    learner: str, rate: float | None, seeds: int, most: int, first: int
) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Environment steps until the exact success reaches the level, by seed, and the mean curve."""
    of, rng = exact.tables(LONG), np.random.default_rng([first, len(learner), round(100 * (rate or 0))])
    logits = np.zeros((seeds, 2 * LONG, 2))
    memory = np.zeros((2, seeds, 2 * LONG, 2))  # returns and visits of each action, for `learnt`
    taken, reached = np.zeros(seeds), np.full(seeds, float(most))
    curve: dict[str, list[float]] = {"steps": [], "success": []}
    while taken.min() < most and (reached >= most).any():
        policy = np.exp(logits - logits.max(-1, keepdims=True))
        policy = np.maximum(policy / policy.sum(-1, keepdims=True), 1e-6)
        policy = policy / policy.sum(-1, keepdims=True)
        now = exact.success(of, policy)
        reached = np.where((now >= LEVEL) & (reached >= most), taken, reached)
        curve["steps"].append(float(taken.mean()))
        curve["success"].append(float(now.mean()))
        states, actions, made, reward = attempts(of, policy, rng)
        taken = taken + made.sum((1, 2))
        logits = learned(learner, rate, policy, memory, states, actions, made, reward, rng)
    every = max(1, len(curve["steps"]) // 200)
    return reached, {name: values[::every] for name, values in curve.items()}


def learned(
    learner: str,
    rate: float | None,
    policy: np.ndarray,
    memory: np.ndarray,
    states: np.ndarray,
    actions: np.ndarray,
    made: np.ndarray,
    reward: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Logits after one step of a learner; `memory` is added to in place."""
    size = policy.shape[1]
    chosen = np.eye(2)[actions]
    if learner == "reinforce":
        assert rate is not None
        earned = np.stack([reinforce(torch.from_numpy(r), _nobody(r)).numpy() for r in reward])
        rows = np.arange(len(policy))[:, None, None]
        score = chosen - policy[rows, states]
        return np.log(policy) + rate * sums(earned[..., None, None] * score, states, made, size) / ATTEMPTS
    if learner == "rwr":
        assert rate is not None
        weights = np.stack([rwr(torch.from_numpy(r), _nobody(r)).numpy() for r in reward])
        total = sums(weights[..., None, None] * chosen, states, made, size)
        visits = total.sum(-1, keepdims=True)
        fitted = np.where(visits > 0, total / np.maximum(visits, 1e-12), policy)
        return np.log(np.maximum((1 - rate) * policy + rate * fitted, 1e-6))
    if learner == "names":
        named = right_action(states, LONG) ^ (rng.random(states.shape) < 0.1)
        heard = made
    else:
        ends = made.sum(-1, keepdims=True)
        to_go = reward[..., None] * DISCOUNT ** np.maximum(ends - 1 - np.arange(made.shape[-1]), 0)
        memory *= 0.9
        memory += np.stack(
            [sums(to_go[..., None] * chosen, states, made, size), sums(chosen, states, made, size)]
        )
        mean = memory[0] / np.maximum(memory[1], 1e-12)
        rows = np.arange(len(policy))[:, None, None]
        known = (memory[1] > 0).all(-1) & (mean[..., 0] != mean[..., 1])
        named, heard = mean.argmax(-1)[rows, states], made & known[rows, states]
    targets = retrospect(policy, states, named.astype(np.int64), heard, "bonus", 0.5)
    return np.log(distil(policy, states, made, targets))


@cache
def _zeros(size: int) -> torch.Tensor:
    return torch.zeros(size, dtype=torch.long)


def _nobody(rewards: np.ndarray) -> torch.Tensor:
    """Groups for pieces that do not read them."""
    return _zeros(len(rewards))


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """One value a seed for each claim whose arms are there."""
    found: dict[str, np.ndarray] = {}
    arms = {name: by_seed[0] for name, by_seed in results.items()}
    if "advantages" in arms:
        r: Any = {k: {m: np.array(v) for m, v in s.items()} for k, s in arms["advantages"].items()}
        noisiest = r[f"ricl_names_{NOISES[-1]:g}"]
        found["T3_beats_mc10"] = noisiest["correlation"] - r["mc_10"]["correlation"]
        found["T3_error_beats_mc10"] = np.log2(noisiest["error"] / r["mc_10"]["error"])
        found["T3_judges"] = r["ricl_judges"]["correlation"] - r["mc_10"]["correlation"]
        if "mc_300" in r:
            found["T3_like_mc300"] = noisiest["correlation"] - r["mc_300"]["correlation"]
            found["T3_error_like_mc300"] = np.log2(noisiest["error"] / r["mc_300"]["error"])
    for form, suffix in (("bonus", ""), ("follow", "_follow")):
        half, whole = arms.get(f"noise_{form}_0.5"), arms.get(f"noise_{form}_1")
        if half and whole:
            found[f"T4_improves{suffix}"] = np.array(half["last"]) - half["start"]
            found[f"T4_alpha{suffix}"] = np.array(whole["last"]) - np.array(half["last"])
    for claim, baseline, mine in (
        ("T5_rwr", "rwr", "names"),
        ("T5_reinforce", "reinforce", "names"),
        ("T5_learnt", "reinforce", "learnt"),
    ):
        if f"steps_{baseline}" in arms and f"steps_{mine}" in arms:
            theirs = np.array(arms[f"steps_{baseline}"]["steps"])
            found[claim] = np.log2(theirs / np.array(arms[f"steps_{mine}"]["steps"]))
    return found


def curves(results: Results) -> list[dict[str, Any]]:
    """Closeness of advantages by trajectories, and success by environment steps."""
    arms = {name: by_seed[0] for name, by_seed in results.items()}
    out = []
    if "advantages" in arms:
        of = arms["advantages"]
        counts = [int(k.removeprefix("mc_")) for k in of if k.startswith("mc_")]
        series = {"Monte Carlo": _line(counts, [of[f"mc_{n}"]["correlation"] for n in counts])}
        for name in [k for k in of if k.startswith("ricl")]:
            series[name.replace("_", " ")] = _line([counts[0]], [of[name]["correlation"]])
        out.append(
            {"title": "Advantages on the key-door line", "x": "trajectories a state",
             "y": "correlation with the exact advantages", "series": series}
        )  # fmt: skip
    runs = {n.removeprefix("steps_"): a["curve"] for n, a in arms.items() if n.startswith("steps_")}
    if runs:
        lines = {n: {"x": c["steps"], "y": c["success"]} for n, c in runs.items()}
        out.append(
            {"title": f"Success on a line of {LONG}", "x": "environment steps",
             "y": "exact success, mean of seeds", "series": lines}
        )  # fmt: skip
    return out


def _line(xs: list[int], rows: list[list[float]]) -> dict[str, list[float]]:
    from hone.lab.claims import paired

    found = [paired(np.array(row)) for row in rows]
    return {
        "x": [float(x) for x in xs],
        "y": [float(f.value) for f in found],
        "low": [float(f.low) for f in found],
        "high": [float(f.high) for f in found],
    }


STUDY = Study(
    id="ricl_keydoor",
    method="ricol",
    title="RICL and RICOL on the key-door line",
    scale="tabular",
    budget=(
        f"{SEEDS} seeds; advantages on a line of {LINE} at 10 to 1000 trajectories a state; {ITERATIONS} steps of "
        f"{ATTEMPTS} attempts with 30% wrong feedback; up to {MOST_STEPS:,} environment steps on a line of {LONG}, "
        f"horizon {4 * LONG}; rates of the baselines chosen on other seeds"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, exact.__file__),
    curves=curves,
)
