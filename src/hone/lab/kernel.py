"""Whole training runs of the simulator, and who gets how many rollouts in them, compiled.

The functions share this file because numba's store of compiled ones sees changes of a kernel's own file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from hone.kernels.numba_jit import FASTMATH, find_store

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Every problem of a step gets the same number of rollouts.
UNIFORM = 0
# Groups whose rollouts are all right or all wrong are dropped and others drawn, until enough have signal. A
# problem then weighs by its chance of signal: the update is that of another objective.
REFILL = 1
# A group ends with its first success, weighed so that the update is MaxRL's of the order of the cap, without bias.
FIRST_SUCCESS = 2
# A group ends when it holds a success and a failure; credit is given as if its size had been fixed: biased.
SIGNAL = 3
# A fixed total, spread over the problems of a step so that the variance of the gradient of the pass rate is least.
VARIANCE = 4
# The same for the gradient of its logarithm, which is MaxRL's.
LOG_VARIANCE = 5

PRIOR = 1.0  # both counts of a Beta posterior before any rollout: no pass rate is favoured
REFILLS = 8  # a step with refill draws at most so many times its number of groups
LEAST = 2  # rollouts of a group whose size is chosen
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's

find_store()


@numba.njit(nogil=True)
def spread(
    variances: Float[np.ndarray, "problems"], total: int, least: int, most: int
) -> Int[np.ndarray, "problems"]:
    """Whole group sizes between `least` and `most` that sum to `total` and make sum(variance / size) least.

    Exact: the gain of one more rollout, v/n - v/(n+1), falls with n, so each goes where it gains most. What `most`
    leaves no place for is not spent.
    """
    sizes = np.full(len(variances), least, dtype=np.int64)
    for _ in range(total - least * len(variances)):
        best, gain = -1, -1.0
        for i in range(len(variances)):
            here = variances[i] / (sizes[i] * (sizes[i] + 1.0))
            if sizes[i] < most and here > gain:
                best, gain = i, here
        if best < 0:
            break
        sizes[best] += 1
    return sizes


@numba.njit(nogil=True)
def variance_of(policy: int, right: float, wrong: float) -> float:
    """How much a problem's gradient varies, from its Beta counts: up to a factor that all problems share.

    E[p (1-p)] for the pass rate; (1-p)/p at the posterior mean for its logarithm.
    """
    if policy == LOG_VARIANCE:
        return wrong / right
    total = right + wrong
    return right * wrong / (total * (total + 1.0))


@numba.njit(nogil=True)
def ended(policy: int, right: int, sampled: int) -> bool:
    """Whether a group with so many successes ends before its full size."""
    if policy == FIRST_SUCCESS:
        return right > 0
    return policy == SIGNAL and 0 < right < sampled


@numba.njit(nogil=True)
def uniform(head: np.uint64, place: int) -> float:
    """The number at `place` of the stream `head`: `core.noise.uniforms`, one at a time."""
    x = head + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return float(x >> np.uint64(11)) * 2.0**-53


@numba.njit(nogil=True)
def next_problem(order: Int[np.ndarray, "problems"], head: np.uint64, place: int) -> int:
    """The problem at `place` of the endless stream: every problem once an epoch, shuffled at its start, in place."""
    at = place % len(order)
    if at == 0:
        for i in range(len(order) - 1, 0, -1):
            j = int(uniform(head, place + i) * (i + 1))
            order[i], order[j] = order[j], order[i]
    return int(order[at])


@numba.njit(nogil=True, fastmath=FASTMATH)
def rates(
    x: Float[np.ndarray, "answers features"],
    base: Float[np.ndarray, "answers"],
    theta: Float[np.ndarray, "features"],
    own: Float[np.ndarray, "answers"],
    share: float,
    out: Float[np.ndarray, "answers"],
) -> None:
    """Probabilities of the answers of one problem."""
    shared, apart = np.sqrt(share), np.sqrt(1 - share)
    top = -np.inf
    for a in range(len(base)):
        dot = 0.0
        for f in range(len(theta)):
            dot += x[a, f] * theta[f]
        out[a] = base[a] + shared * dot + apart * own[a]
        top = max(top, out[a])
    total = 0.0
    for a in range(len(base)):
        out[a] = np.exp(out[a] - top)
        total += out[a]
    for a in range(len(base)):
        out[a] /= total


@numba.njit(nogil=True, fastmath=FASTMATH)
def move(
    weights: Float[np.ndarray, "n"],
    slope: Float[np.ndarray, "n"],
    first: Float[np.ndarray, "n"],
    second: Float[np.ndarray, "n"],
    rate: float,
    step: int,
    adam: bool,
) -> None:
    """Step number `step`, uphill, in place: Adam's or plain."""
    if not adam:
        for i in range(len(weights)):
            weights[i] += rate * slope[i]
        return
    scale_1, scale_2 = 1 / (1 - BETA_1**step), 1 / (1 - BETA_2**step)
    for i in range(len(weights)):
        first[i] = BETA_1 * first[i] + (1 - BETA_1) * slope[i]
        second[i] = BETA_2 * second[i] + (1 - BETA_2) * slope[i] * slope[i]
        weights[i] += rate * first[i] * scale_1 / (np.sqrt(second[i] * scale_2) + EPSILON)


@numba.njit(nogil=True)
def read(
    features: Float[np.ndarray, "problems answers features"],
    base: Float[np.ndarray, "problems answers"],
    held_features: Float[np.ndarray, "held answers features"],
    held_base: Float[np.ndarray, "held answers"],
    theta: Float[np.ndarray, "features"],
    own: Float[np.ndarray, "problems answers"],
    share: float,
    p: Float[np.ndarray, "answers"],
    out: Float[np.ndarray, "metrics"],
) -> None:
    """Exact pass@1 on the problems that are trained on; pass@1, best@4 and worst@4 on those held out."""
    out[:] = 0
    for i in range(len(base)):
        rates(features[i], base[i], theta, own[i], share, p)
        out[0] += p[0] / len(base)
    nothing = np.zeros_like(p)
    for i in range(len(held_base)):
        rates(held_features[i], held_base[i], theta, nothing, share, p)
        out[1] += p[0] / len(held_base)
        out[2] += (1 - (1 - p[0]) ** 4) / len(held_base)
        out[3] += p[0] ** 4 / len(held_base)


@numba.njit(nogil=True, cache=True)
def one_run(
    features: Float[np.ndarray, "problems answers features"],
    base: Float[np.ndarray, "problems answers"],
    held_features: Float[np.ndarray, "held answers features"],
    held_base: Float[np.ndarray, "held answers"],
    share: float,
    table: Float[np.ndarray, "n k 2"],
    size: int,
    groups: int,
    policy: int,
    decay: float,
    rate: float,
    adam: bool,
    order_head: np.uint64,
    noise_head: np.uint64,
    budgets: Int[np.ndarray, "budgets"],
    readings: Float[np.ndarray, "budgets metrics"],
    theta: Float[np.ndarray, "features"],
    own: Float[np.ndarray, "problems answers"],
) -> float:
    """Train until the last budget is spent; the share of rollouts that lay in groups with signal.

    `readings[b]` is of the policy after the last step that keeps within `budgets[b]`. `theta` and `own` come as
    zeros and leave as the trained policy. The update is the mean over groups of the mean over rollouts of advantage
    times score.
    """
    problems, answers, _ = features.shape
    most = len(table) - 1
    shared, apart = np.sqrt(share), np.sqrt(1 - share)
    p, counts = np.empty(answers), np.empty(answers)
    slope, first, second = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
    flat = own.reshape(-1)
    own_slope, own_first, own_second = np.zeros_like(own), np.zeros_like(flat), np.zeros_like(flat)
    right, wrong = np.full(problems, PRIOR), np.full(problems, PRIOR)
    order = np.arange(problems)
    limit = REFILLS * groups if policy == REFILL else groups
    chosen, variances = np.empty(limit, dtype=np.int64), np.ones(groups)
    sizes = np.full(groups, size, dtype=np.int64)
    drawn, noise, useful, moves, reading = 0, 0, 0, 0, 0
    while reading < len(budgets):
        slope[:] = 0
        if share < 1:
            own_slope[:] = 0
        for g in range(groups):
            chosen[g] = next_problem(order, order_head, drawn)
            drawn += 1
            variances[g] = variance_of(policy, right[chosen[g]], wrong[chosen[g]])
        if policy in (VARIANCE, LOG_VARIANCE):
            sizes = spread(variances, size * groups, LEAST, most)
        kept, g = 0, 0
        while kept < groups and g < limit:
            if g >= groups:  # a refill
                chosen[g] = next_problem(order, order_head, drawn)
                drawn += 1
            i = chosen[g]
            rates(features[i], base[i], theta, own[i], share, p)
            counts[:] = 0
            n, k = 0, 0
            while n < sizes[g % groups] and not ended(policy, k, n):
                u, a, below = uniform(noise_head, noise), 0, p[0]
                while u >= below and a < answers - 1:
                    a += 1
                    below += p[a]
                counts[a] += 1
                noise, n, k = noise + 1, n + 1, k + (a == 0)
            right[i] = PRIOR + decay * (right[i] - PRIOR) + k
            wrong[i] = PRIOR + decay * (wrong[i] - PRIOR) + n - k
            g += 1
            signal = k > 0 if policy == FIRST_SUCCESS else 0 < k < n
            if policy == REFILL and not signal:
                continue
            kept += 1
            useful += n if signal else 0
            # sum_i A_i (e_{a_i} - p) / n, as weights of the answers
            total = (table[n, k, 0] * k + table[n, k, 1] * (n - k)) / n
            for a in range(answers):
                given = table[n, k, 0 if a == 0 else 1] * counts[a] / n - total * p[a]
                for f in range(len(theta)):
                    slope[f] += shared * given * features[i, a, f]
                own_slope[i, a] += apart * given
        if reading < len(budgets) and noise > budgets[reading]:
            read(features, base, held_features, held_base, theta, own, share, p, readings[reading])
            reading += 1
            while reading < len(budgets) and noise > budgets[reading]:
                readings[reading] = readings[reading - 1]
                reading += 1
        if kept > 0:
            moves += 1
            for f in range(len(theta)):
                slope[f] /= kept
            move(theta, slope, first, second, rate, moves, adam)
            if share < 1:
                own_slope /= kept
                move(flat, own_slope.reshape(-1), own_first, own_second, rate, moves, adam)
    return useful / noise
