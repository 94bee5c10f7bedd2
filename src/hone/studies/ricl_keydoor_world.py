"""The key-door line of RICL's study: advantages, noisy feedback, and learning until a level of success."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from hone.credit import reinforce, rwr
from hone.environments import exact
from hone.rewards.in_context import centred_advantage, soft_targets

DISCOUNT = 0.99
BONUS, FOLLOW = 2.0, 0.95
LINE, LONG = 7, 11  # cells: of the advantages and of noise, and of steps to success
NOISES = (0.0, 0.05, 0.1)
ITERATIONS, ATTEMPTS = 40, 8  # of the noise arms; attempts of one step everywhere
LEVEL, MOST_STEPS = 0.8, 400_000


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
