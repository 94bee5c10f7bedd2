"""Which recipe is better, and when that is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hone.compute.comparing import compare_at, compare_efficiency, standing_at
from hone.compute.curve_search import shape_of
from hone.compute.recipe_curve import fit_recipe
from hone.core.errors import DataError
from synthetic import run


def recipe(cell, *, resamples=60, seeds=3, form="sigmoid", problems=32, total=8192, **truth):
    runs = [run(seed=seed, cell=cell, total=total, problems=problems, **truth) for seed in range(seeds)]
    return fit_recipe(runs, form=form, r0="fit", resamples=resamples)


@pytest.fixture(scope="module")
def recipes():
    return {
        "good": recipe("good", A=0.7, C_mid=1000.0),
        "poor": recipe("poor", A=0.5, C_mid=1000.0),
        "slow": recipe("slow", A=0.7, C_mid=1000.0, B=0.7),
    }


def test_a_large_difference_is_real_and_turns_its_sign(recipes):
    there = compare_at(recipes["good"], recipes["poor"], 8000)
    back = compare_at(recipes["poor"], recipes["good"], 8000)
    assert there.real
    assert there.difference.low > 0
    assert there.difference.value == pytest.approx(there.first.reward.value - there.second.reward.value)
    assert back.real
    assert back.difference.value == pytest.approx(-there.difference.value)


def test_recipes_of_one_law_are_seldom_called_different():
    same = [recipe(f"same{at}", seeds=2, resamples=60, A=0.6, C_mid=1000.0) for at in range(2)]
    for at, curve in enumerate(same):
        others = [
            run(seed=50 + 10 * at + s, cell=f"x{at}", total=8192, problems=32, C_mid=1000.0) for s in range(2)
        ]
        assert not compare_at(curve, fit_recipe(others, form="sigmoid", resamples=60), 6000).real


def test_standings_are_in_order_and_name_the_lead(recipes):
    curves = [recipes["poor"], recipes["good"], recipes["slow"]]
    standing = standing_at(curves, 8000)
    assert standing.order == (1, 2, 0)
    assert [one.reward.value for one in standing.rewards] == sorted(
        (curve.predict(8000).reward.value for curve in curves), reverse=True
    )
    assert standing.lead.difference == compare_at(curves[1], curves[2], 8000).difference
    with pytest.raises(DataError, match="one recipe"):
        standing_at(curves[:1], 8000)


def test_efficiency_is_compared_at_the_average_asymptote(recipes):
    flat = recipe("flat", problems=256, total=65536, A=0.7, C_mid=6000.0)
    same = recipe("steep", problems=256, total=65536, A=0.7, C_mid=6000.0, B=2.2)
    assert abs(same.fit.A - flat.fit.A) <= 0.02
    told = compare_efficiency(flat, same)
    assert told.real
    assert told.difference.high < 0
    assert told.A == (same.fit.A + flat.fit.A) / 2
    # Slowly: start, midpoint and B by brute force with that asymptote.
    data = same.data
    best = np.inf
    for b in np.linspace(1.5, 3.0, 61):
        for mid in np.geomspace(4000, 9000, 61):
            shape = shape_of("sigmoid", data.compute, np.array(mid), np.array(b), 1.0)
            rest, gap = 1 - shape, told.A - data.reward[0]
            drop = (data.weight[0] * rest * gap).sum() / (data.weight[0] * rest**2).sum()
            loss = (data.weight[0] * (gap - drop * rest) ** 2).sum()
            if loss < best:
                best, efficiency = loss, b
    assert told.second.value == pytest.approx(efficiency, abs=0.03)


def test_efficiency_is_not_compared_at_other_asymptotes_units_or_forms(recipes):
    assert compare_efficiency(recipes["good"], recipes["poor"]) is None
    with pytest.raises(DataError, match="power law"):
        compare_efficiency(recipes["good"], recipe("power", form="power", resamples=20, A=0.7))
    with pytest.raises(DataError, match="differ in unit"):
        compare_at(recipes["good"], replace(recipes["poor"], unit="flops"), 1000)
