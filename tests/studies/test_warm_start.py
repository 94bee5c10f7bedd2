"""A warm start is trained once for a recipe, and kept."""

from types import SimpleNamespace

import pytest

import hone
from hone.studies.warm_start import warm_start


def test_trained_once_and_kept_by_recipe(monkeypatch, tmp_path):
    trained = []

    def train(recipe, out):
        trained.append(recipe)
        (out / "final").mkdir(parents=True)
        (out / "final" / "config.json").write_text(str(recipe["steps"]))
        return SimpleNamespace(final=out / "final")

    monkeypatch.setattr(hone, "train", train)
    monkeypatch.setenv("HONE_STUDY_CACHE", str(tmp_path))
    first = warm_start({"steps": 1})
    assert warm_start({"steps": 1}) == first
    assert (first / "config.json").read_text() == "1"
    assert warm_start({"steps": 2}) != first
    assert [recipe["steps"] for recipe in trained] == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == sorted(
        {first.name, warm_start({"steps": 2}).name}
    )


def test_a_warm_start_that_fails_leaves_nothing(monkeypatch, tmp_path):
    def train(recipe, out):
        (out / "final").mkdir(parents=True)
        raise RuntimeError("no room")

    monkeypatch.setattr(hone, "train", train)
    monkeypatch.setenv("HONE_STUDY_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match="no room"):
        warm_start({"steps": 1})
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
