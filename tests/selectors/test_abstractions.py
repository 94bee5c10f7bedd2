"""Selectors of RLAD: abstractions that helped, and the turns of an alternation."""

from __future__ import annotations

import pytest

from hone.core.errors import RecipeError
from hone.core.parts import Part
from hone.rewards import AbstractionReward
from hone.selectors import Helpful, LearnPart
from two_levels import batch_of, rewarded

Z, Y, BARE = Part.ABSTRACTION, Part.SOLUTION, Part.BARE


def group(*rates, base=(1.0, 0.0, 0.0, 0.0), texts=("a", "b", "c")):
    rows = [(Z, i, 0.0, texts[i]) for i in range(len(rates))]
    rows += [(Y, i, float(j < 4 * rate), "") for i, rate in enumerate(rates) for j in range(4)]
    return rows + [(BARE, len(rates), reward, "") for reward in base]


def kept(selector, *groups):
    found = selector(rewarded(AbstractionReward(), batch_of(groups)))
    return [i for i, keep in enumerate(found.kept.tolist()) if keep]


def test_only_helpful_abstractions_are_learnt_from():
    assert kept(Helpful(), group(0.25, 0.5, 1.0)) == [1, 2]
    assert kept(Helpful(margin=0.5), group(0.25, 0.5, 1.0)) == [2]
    assert kept(Helpful(best=True), group(0.25, 0.5, 1.0), group(0.75, 0.75, 0.5)) == [2, 19]
    assert kept(Helpful(), group(0.25, 0.0, 0.0)) == []


def test_leaks_empty_ones_and_groups_without_bare_solutions_are_not():
    assert kept(Helpful(), group(1.0, 1.0, 1.0, texts=("14", " ", "c"))) == [2]
    assert kept(Helpful(), group(1.0, 1.0, base=())) == []


def test_turns():
    rows = group(0.5, 0.5)
    hints = [0, 1]
    assert kept(LearnPart("abstractions"), rows) == hints
    assert kept(LearnPart("solutions"), rows) == [i for i in range(len(rows)) if i not in hints]


def test_refusals():
    with pytest.raises(RecipeError, match="margin"):
        Helpful(margin=1.0)
    with pytest.raises(RecipeError, match="learn"):
        LearnPart("both")
