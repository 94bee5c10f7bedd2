"""The page of `hone fit`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hone import report
from hone.core.errors import DataError
from hone.report import fits
from report.fake_sweep import write_cell_run
from report.hostile import PAYLOADS
from report.test_page import assert_inert


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits, "RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What fit_runs returns for two recipes, as fit.json holds it."""
    from hone.training.fitting import fit_runs

    folder = tmp_path_factory.mktemp("fits")
    runs = [write_cell_run(folder / f"{size}-{seed}", size, 8, seed) for size in (2, 8) for seed in (0, 1)]
    content: dict[str, Any] = json.loads(json.dumps(fit_runs(runs, resamples=20)))
    return content


def test_the_page_shows_every_recipe(found: dict[str, Any], tmp_path: Path) -> None:
    page = report.build_fit(found, tmp_path / "new" / "fit.html")
    elements = assert_inert(page)
    assert (
        "num_generations=8 leads at 1,024" not in elements.text
    )  # the runs' last reading is at less than 512
    for words in ("num_generations=2", "num_generations=8", "All recipes", "A, asymptote", "power law",
                  "without the early readings", "Dashed and shaded: beyond the data"):  # fmt: skip
        assert words in elements.text, words
    largest = found["standings"][-1]
    word = "leads" if largest["real"] else "Undecided"
    assert word in elements.text.splitlines()[8]
    a = found["recipes"][0]["A"]
    assert f"{100 * a['value']:.0f}%" in elements.text
    drawn = " ".join(str(a.get("aria-label")) for tag, a in elements.found if tag == "svg")
    assert "fit 0" in drawn
    assert "fit 1" in drawn
    assert "extrapolated" in elements.text


def test_the_curve_is_that_of_the_file(found: dict[str, Any]) -> None:
    for one in fits.read_fits(found, None)[0]:
        assert one.curve is not None
        for name in ("A", "B", "C_mid", "R0"):
            assert getattr(one.curve, name).value == pytest.approx(one.row[name]["value"], rel=1e-6)


def test_readings_are_pooled_with_intervals(found: dict[str, Any]) -> None:
    one = fits.read_fits(found, None)[0][0]
    xs, estimates = fits._readings(one.series)
    assert (xs[1:] > xs[:-1]).all()
    assert all(e.low <= e.value <= e.high for e in estimates)
    assert len(xs) <= fits.PLACES


def test_runs_that_are_gone_and_hostile_words(found: dict[str, Any], tmp_path: Path) -> None:
    recipe = found["recipes"][0] | {
        "recipe": PAYLOADS["image"],
        "runs": [str(tmp_path / "gone")],
        "doubts": [PAYLOADS["script"]],
        "identified": False,
    }
    content = found | {"recipes": [recipe], "standings": [], "left_out": {PAYLOADS["link"]: PAYLOADS["form"]}}
    text = assert_inert(report.build_fit(content, tmp_path / "fit.html")).text
    assert "The asymptote is not identified" in text
    assert f"{PAYLOADS['image']}: no picture." in text
    assert f"not identified, {PAYLOADS['script']}" in text
    assert f"{PAYLOADS['link']} was left out" in text


def test_one_recipe_tells_its_asymptote() -> None:
    row = {"recipe": "x", "A": {"value": 0.62, "low": 0.58, "high": 0.66}, "identified": True}
    title, _ = fits.headline({}, [fits.Fitted("x", row, (), None)])
    assert title == "A = 62%, 58–66%"
    with pytest.raises(DataError, match="name no recipe"):
        fits.read_fits({"recipes": []}, None)
