"""Compiled runs are plain runs; they depend on nothing beside them; without shared features, problems are alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hone import credit
from hone.core.errors import EngineError, RecipeError
from hone.evals import pass_at_k, worst_at_k
from hone.kernels import numba_jit
from hone.lab import kernel
from hone.lab.credit_table import tabulate
from hone.lab.simulate import POLICIES, Cell, Physics, simulate
from hone.lab.stopping import first_success_table
from hone.lab.world import WorldDials, make_world, one_problem, softmax
from lab.slow import slow_run

DIALS = WorldDials(12, 20, 5, 6, 2.0, 0.5, 0.5, ((0.05, 0.6),))
WORLDS = {seed: make_world(DIALS, seed) for seed in (3, 4)}
PIECES = {
    "rloo": credit.Rloo(),
    "grpo": credit.Grpo(),
    "maxrl": credit.Maxrl(),
    "subset": credit.Maxrl(order=3),
}
TABLES = {name: tabulate(piece, 8) for name, piece in PIECES.items()} | {"first": first_success_table(8)}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("piece", list(PIECES))
def test_a_compiled_run_is_a_plain_run(piece, share, optimizer):
    budgets = [15, 64, 200]
    cell = Cell(piece, 4, 3, 0.2)
    out = simulate(WORLDS, [cell], TABLES, budgets, Physics(share, optimizer))
    for s, (seed, world) in enumerate(WORLDS.items()):
        readings, theta = slow_run(world, seed, PIECES[piece], 4, 3, 0.2, budgets, share, optimizer == "adam")
        np.testing.assert_allclose(out.readings[0, s], readings, rtol=1e-9)
        np.testing.assert_allclose(out.thetas[0, s], theta, rtol=1e-7, atol=1e-12)
    assert np.ptp(out.metric("train pass@1")[0, 0]) > 0.01  # it moved


def test_a_run_depends_on_its_own_cell_and_seed_alone():
    cells = [Cell("rloo", 4, 3, 0.1, policy) for policy in POLICIES if policy != "first_success"]
    cells.append(Cell("first", 8, 2, 0.1, "first_success"))
    together = simulate(WORLDS, cells, TABLES, [40, 160], Physics())
    for c, cell in enumerate(cells):
        alone = simulate({4: WORLDS[4]}, [cell], TABLES, [40, 160], Physics())
        np.testing.assert_array_equal(alone.readings[0, 0], together.readings[c, 1])
        np.testing.assert_array_equal(alone.thetas[0, 0], together.thetas[c, 1])
    assert len({theta.tobytes() for theta in together.thetas[:, 0]}) == len(cells)


def test_without_shared_features_problems_do_not_touch_each_other():
    """Problem 0 starts elsewhere, so it samples and learns something else; what is learnt of others stays."""
    world = WORLDS[3]
    base = world.base.copy()
    base[0] = base[0][::-1]
    changed = dataclasses.replace(world, base=base)
    for share, optimizer, same in ((0.0, "sgd", True), (0.0, "adam", True), (0.5, "sgd", False)):
        own = [learnt(one, Physics(share, optimizer)) for one in (world, changed)]
        assert (own[0][0] != own[1][0]).any()
        assert np.array_equal(own[0][1:], own[1][1:]) == same
        assert (own[0][1:] != 0).any(axis=1).all()


def learnt(world, physics):
    """What a run learns of each problem alone."""
    own, theta, readings = np.zeros_like(world.base), np.zeros(6), np.zeros((1, 4))
    kernel.one_run(
        world.features,
        world.base,
        world.held_features,
        world.held_base,
        physics.share,
        TABLES["rloo"],
        8,
        12,
        kernel.UNIFORM,
        physics.decay,
        0.5,
        physics.optimizer == "adam",
        np.uint64(11),
        np.uint64(12),
        np.array([400]),
        readings,
        theta,
        own,
    )
    return own


def test_readings_are_what_sampling_estimates():
    world = WORLDS[3]
    out = simulate({3: world}, [Cell("rloo", 4, 3, 0.1)], TABLES, [100], Physics())
    p = softmax(world.held_base + world.held_features @ _theta_at(100))[:, 0]
    rng = np.random.default_rng(0)
    correct = rng.binomial(20_000, p)
    expected = [
        (correct / 20_000).mean(),
        pass_at_k(20_000, correct, 4).mean(),
        worst_at_k(20_000, correct, 4).mean(),
    ]
    np.testing.assert_allclose(out.readings[0, 0, 0, 1:], expected, atol=0.004)


def _theta_at(budget):
    """The weights after the last step within `budget`: those that a run which ends one step earlier leaves."""
    return slow_run(WORLDS[3], 3, PIECES["rloo"], 4, 3, 0.1, [budget - 12], 1.0, True)[1]


def test_a_reading_is_of_the_last_policy_within_the_budget():
    cell = Cell("rloo", 4, 3, 0.1)
    out = simulate(WORLDS, [cell], TABLES, [11, 12, 23, 24], Physics()).readings[0, 0, :, 0]
    assert out[0] == pytest.approx(softmax(WORLDS[3].base)[:, 0].mean())  # 12 rollouts do not fit into 11
    assert out[1] == out[2] != out[0]
    assert out[3] != out[2]


def test_one_problem_is_a_bandit_that_is_learnt():
    world = one_problem(8, 0.1)
    assert softmax(world.base)[0, 0] == pytest.approx(0.1)
    out = simulate({0: world}, [Cell("rloo", 4, 1, 1.0)], TABLES, [2000], Physics(0.0, "sgd"))
    assert out.metric("train pass@1")[0, 0, 0] > 0.9


def test_refill_fills_a_step_with_signal_and_early_ends_spend_less():
    cells = [
        Cell("rloo", 4, 3, 0.1),
        Cell("rloo", 4, 3, 0.1, "refill"),
        Cell("first", 8, 3, 0.1, "first_success"),
    ]
    out = simulate(WORLDS, cells, TABLES, [600], Physics())
    assert np.isfinite(out.readings).all()
    assert (out.useful > 0).all()
    assert (out.useful <= 1).all()


def test_rollouts_are_spread_so_that_the_variance_is_least():
    def cost(variances, sizes):
        return sum(v / n for v, n in zip(variances, sizes))

    rng = np.random.default_rng(1)
    for _ in range(20):
        variances = rng.random(3)
        sizes = kernel.spread(variances, 14, 2, 8)
        assert sizes.sum() == 14
        assert sizes.min() >= 2
        assert sizes.max() <= 8
        all_ways = [(a, b, 14 - a - b) for a in range(2, 9) for b in range(2, 9) if 2 <= 14 - a - b <= 8]
        assert cost(variances, sizes) == pytest.approx(min(cost(variances, way) for way in all_ways))
    assert kernel.spread(np.ones(2), 100, 2, 8).tolist() == [8, 8]


def test_posterior_variances():
    from scipy.stats import beta

    assert kernel.variance_of(kernel.VARIANCE, 3.0, 2.0) == pytest.approx(
        beta(3, 2).expect(lambda p: p * (1 - p))
    )
    assert kernel.variance_of(kernel.LOG_VARIANCE, 3.0, 2.0) == pytest.approx((1 - 0.6) / 0.6)


def test_bad_cells_are_refused(monkeypatch):
    for cell, words in (
        (Cell("ppo", 4, 3, 0.1), "no credit table"),
        (Cell("rloo", 9, 3, 0.1), "lacks group sizes"),
    ):
        with pytest.raises(RecipeError, match=words):
            simulate(WORLDS, [cell], TABLES, [20], Physics())
    sparse = {"rloo": tabulate(PIECES["rloo"], 8, (4,))}
    with pytest.raises(RecipeError, match="lacks group sizes that `variance` needs"):
        simulate(WORLDS, [Cell("rloo", 4, 3, 0.1, "variance")], sparse, [20], Physics())
    with pytest.raises(RecipeError, match="budgets"):
        simulate(WORLDS, [Cell("rloo", 4, 3, 0.1)], TABLES, [20, 20], Physics())
    monkeypatch.setattr(numba_jit, "has_numba", lambda: False)
    with pytest.raises(EngineError, match="numba"):
        simulate(WORLDS, [Cell("rloo", 4, 3, 0.1)], TABLES, [20], Physics())
