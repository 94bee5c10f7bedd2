"""POPE's studies: runs depend on their seed alone, spend what they say, and their readings are exact."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from hone.credit import Grpo
from hone.studies import pope_lock, pope_maze, pope_maze_long, pope_rays
from hone.studies.harness import Study
from hone.studies.pope_lock import Lock, credited, search
from hone.studies.pope_rays import EASY, HARD, Rays, base_logits

LOCK = Lock(length=4, symbols=2, problems=3, rollouts=4, budget=960, search_samples=4)


@pytest.mark.parametrize(
    "dials", [LOCK, replace(LOCK, overlap=0.5, credit="maxrl"), replace(LOCK, prefixes="none")]
)
def test_a_run_of_the_lock_depends_on_its_seed_alone(dials: Lock):
    together, alone = pope_lock.simulate(dials, [3, 8]), pope_lock.simulate(dials, [8])
    assert [values[1:] for values in together["unguided"]] == alone["unguided"]
    assert together["final_guided"][1:] == alone["final_guided"]


def test_a_run_of_rays_depends_on_its_seed_alone():
    dials = Rays(steps=10, kinds=("hard", "guided", "easy"))
    together, alone = pope_rays.simulate(dials, [3, 8]), pope_rays.simulate(dials, [8])
    assert [values[1:] for values in together["hard"]] == alone["hard"]


def test_the_search_of_a_lock_is_paid_for():
    """While a run's search is being paid for, it is not trained."""
    found = pope_lock.simulate(LOCK, [0, 1])
    step = 2 * LOCK.problems * LOCK.rollouts
    every = found["rollouts"][1]
    assert every == step
    for s, spent in enumerate(found["searched"]):
        moved = [values[s] != LOCK.symbols**-LOCK.length for values in found["unguided"]]
        paid = -(-spent // step)
        assert not any(moved[: paid + 1])
    assert found["rollouts"][-1] == LOCK.budget


def test_the_least_prefix_of_a_lock_is_the_first_with_a_success():
    sure = replace(LOCK, search_samples=10_000)
    found, spent = search(sure, [np.random.default_rng(0)])
    assert found.tolist() == [[1, 1, 1]]
    assert spent.tolist() == [30_000]
    never = replace(LOCK, length=60, search_samples=1)
    assert (search(never, [np.random.default_rng(0)])[0] > 40).all()


@pytest.mark.parametrize("length", [8, 10, 12])
def test_three_quarters_are_rounded_up(length: int):
    dials = Lock(length=length, symbols=2, problems=1, rollouts=2, budget=4, prefixes="three quarters")
    assert pope_lock.simulate(dials, [0])["prefix"] == [-(-length * 3 // 4)]


def test_success_is_that_of_all_combinations():
    dials = replace(LOCK, budget=0)
    right = pope_lock.probabilities(np.random.default_rng(0).normal(size=(1, 4, 2)))
    brute = {
        m: sum(
            np.prod([right[0, at, symbol] for at, symbol in zip(range(m, 4), tail)])
            for tail in itertools.product(range(2), repeat=4 - m)
            if not any(tail)
        )
        for m in range(4)
    }
    prefixes = np.array([[1, 3, 2]])
    found = pope_lock._guided(right[..., 0], prefixes)
    np.testing.assert_allclose(found, np.mean([brute[m] for m in (1, 3, 2)]))
    assert pope_lock.simulate(dials, [0])["unguided"] == [[2.0**-4]]


def test_groups_of_all_seeds_are_credited_apart():
    rewards = np.random.default_rng(0).random((3, 2, 5)) < 0.4
    found = credited(rewards, "grpo")
    for s, g in itertools.product(range(3), range(2)):
        alone = Grpo()(torch.from_numpy(rewards[s, g].astype(float)), torch.zeros(5, dtype=torch.long))
        np.testing.assert_allclose(found[s, g], alone)


@pytest.mark.parametrize(("right", "rate"), [(EASY, 0.4), (HARD, 0.001)])
def test_the_base_has_the_pass_rate_that_it_is_said_to_have(right: int, rate: float):
    chances = pope_lock.probabilities(base_logits(7, right, rate))
    assert chances[right] == pytest.approx(rate)
    assert np.delete(chances, right).tolist() == pytest.approx([(1 - rate) / 6] * 6)


def test_easy_problems_alone_lower_hard_ones_and_guided_ones_raise_them():
    """One step of an expected kind: what the groups push is what they share."""
    finals = {
        kinds: np.mean(pope_rays.simulate(Rays(steps=60, kinds=kinds), range(4))["final_hard"])
        for kinds in (("easy",), ("guided",))
    }
    untouched = 1 - (1 - 0.001) ** 16
    assert finals[("easy",)] < untouched / 2
    assert finals[("guided",)] > 2 * untouched


def fake_maze(seed: int) -> dict:
    arm = {
        "hard": [0, 64 + seed],
        "held_out": [1],
        "tokens": [10, 20],
        "unguided": [0.0, 0.5],
        "guided": [0, 1],
    }
    return {**dict.fromkeys(pope_maze.ARMS, arm), "plain": {**arm, "hard": [0, 0]}}


STUDIES = [pope_lock.STUDY, pope_rays.STUDY, pope_maze.STUDY, pope_maze_long.STUDY]


@pytest.mark.parametrize("study", STUDIES, ids=lambda s: s.id)
def test_every_claim_has_its_statistic(study: Study):
    if study.scale == "sprout":
        results = {"arms": {seed: fake_maze(seed) for seed in range(3)}}
        assert study.statistics(results)["solved"].tolist() == [0.5] * 3
        assert study.statistics(results)["left at zero"].tolist() == [0.5] * 3
        assert study.statistics(results)["pass@1"].tolist() == [(64 + seed) / 256 for seed in range(3)]
    else:
        results = {cell.name: {0: study.run(cell)} for cell in study.cells(True)}
    found = study.statistics(results)
    assert set(found) == {claim.id for claim in study.claims}
    assert len({len(values) for values in found.values()}) == 1
    assert study.curves is not None
    for curve in study.curves(results):
        assert all(
            len({len(line[k]) for k in ("x", "y", "low", "high")}) == 1 for line in curve["series"].values()
        )
