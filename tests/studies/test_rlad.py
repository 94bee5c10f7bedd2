"""The latent-strategy world of RLAD: its exact readings against sampling, and what its arms leave alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from hone.credit import Grpo
from hone.studies import rlad_latent
from hone.studies.harness import Cell
from hone.studies.rlad_latent import ARMS, best_of
from hone.studies.rlad_latent_world import Arm, Dials, World


def test_rates_are_what_sampling_finds():
    world = World(Dials(), Arm(Grpo(), leak=True), [3])
    with torch.no_grad():
        world.own += 0.3
        world.skill += torch.linspace(-1, 1, 4).double()
    for z in (0, 3, 4, 5):
        rewards, _ = world.solve(torch.full((1, 12, 4000), z))
        found, exact = rewards.mean(-1)[0], world.rates()[0, :, z].detach()
        assert (found - exact).abs().max() < 4 * 0.5 / np.sqrt(4000)


def test_the_best_of_some_abstractions():
    chances = torch.tensor([[0.5, 0.3, 0.2]]).double()
    rates = torch.tensor([[0.4, 0.9, 0.1]]).double()
    slow = sum(
        np.prod([chances[0, z] for z in zs]) * max(rates[0, z] for z in zs)
        for zs in product(range(3), repeat=3)
    )
    assert torch.allclose(best_of(chances, rates, 3)[0], slow)


def moved(arm: Arm) -> list[bool]:
    world = World(Dials(), arm, [0, 1])
    before = [p.detach().clone() for p in world.parameters]
    world.step()
    return [not torch.equal(a, b) for a, b in zip(before, world.parameters)]


def test_what_an_arm_trains():
    """The generator's weights, the solver's own choice, how far it follows, its skill, and telling the answer."""
    assert moved(Arm(Grpo())) == [True, True, True, True, False]
    assert moved(Arm(Grpo(), generator=False)) == [False, True, True, True, False]
    assert moved(Arm(Grpo(), abstractions=False)) == [False, True, False, True, False]
    assert moved(Arm(Grpo(), leak=True)) == [True] * 5


def test_a_solver_that_does_not_listen_does_not_depend():
    world = World(Dials(follow=0.0), Arm(Grpo()), [0])
    assert world.dependence().abs().max() < 1e-12
    obedient = World(Dials(follow=30.0), Arm(Grpo()), [0])
    assert abs(obedient.dependence().item() - np.log(4)) < 1e-6


def test_cells_are_repeated_and_every_claim_has_its_statistic():
    cells = [Cell(c.name, 0, {**c.settings, "worlds": 2, "steps": 2}) for c in rlad_latent.cells(True)]
    results = {cell.name: {0: rlad_latent.run(cell)} for cell in cells}
    assert results["rlad"][0] == rlad_latent.run(cells[0])
    found = rlad_latent.statistics(results)
    assert set(found) == {claim.id for claim in rlad_latent.CLAIMS}
    assert all(len(values) == 2 for values in found.values())
    assert set(results) == set(ARMS)
    spread = results["rlad"][0]["allocation"]
    values = np.array([spread[str(m)] for m in (16, 8, 4, 2, 1)])
    assert (np.diff(values, axis=0) < 0).all()  # abstractions come before solutions
    assert all(curve["series"] for curve in rlad_latent.curves(results))
