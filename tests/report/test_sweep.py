"""The page and the picture of a sweep."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hone import report
from hone.core.errors import CheckpointError, DataError
from hone.report import frontiers, heat, rates, sweep
from hone.report.data import read_run
from report.fake_sweep import cell_name, change, write_sweep
from report.hostile import PAYLOADS
from report.test_page import Elements, assert_inert


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontiers, "RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep") / "sweep")


@pytest.fixture(scope="module")
def found(folder: Path) -> frontiers.Frontiers:
    return frontiers.frontiers_of(sweep.read_sweep(folder).series)


@pytest.fixture(scope="module")
def page(folder: Path) -> Elements:
    return assert_inert(report.build_sweep(folder))


def test_the_page_tells_the_best_and_shows_every_picture(page: Elements) -> None:
    assert "Best at 512 rollouts: num_generations 8" in page.text
    for title in ("The frontier", "n*(C)", "B_p*(C)", "M*(C)", "pass@1 at 32 rollouts", "pass@1 at 512 rollouts",
                  "Held-out pass@1 at the end", "Pass rates, num_generations 2", "Training pass rate",
                  "4 cells, 2 seeds each, 512 rollouts a run"):  # fmt: skip
        assert title in page.text, title
    assert "Records lie too high" in page.text
    labels = [a.get("aria-label") for tag, a in page.found if tag == "svg"]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    for unit in ("rollouts", "sampled_tokens", "flops", "seconds"):
        assert f"Training pass rate, num_generations 8 {unit}" in labels
    assert not any("price" in str(label) for label in labels)  # no rate was given


def test_best_values_follow_the_curves(found: frontiers.Frontiers) -> None:
    track = found.pooled["num_generations"].best()
    assert track.value[0] == 2  # groups of 2 rise first, groups of 8 end higher
    assert track.value[-1] == 8
    assert {*found.pooled} == {"num_generations", "problems_per_step"}
    assert found.cells is not None


def test_maps_mark_the_best_and_what_may_be_as_good(folder: Path, found: frontiers.Frontiers) -> None:
    last = heat.fitted_maps(found)[-1]
    assert last.best[0] == 8
    assert last.values[last.best].value == max(e.value for e in last.values.values())
    assert all(place[0] == 8 for place in last.alike)  # groups of 2 end at half of that
    held = heat.held_out_map(sweep.read_sweep(folder))
    assert held is not None
    assert held.best == (8, 4)
    assert held.alike == set()  # the gap is the same in both seeds, so even a small one is decided


def test_one_seed_decides_nothing(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "sweep")
    runs = [run for run in change(copy)["runs"] if run["seed"] == 0]
    change(copy, runs=runs)
    held = heat.held_out_map(sweep.read_sweep(copy))
    assert held is not None
    assert held.alike == set(held.values) - {held.best}


def test_pass_rates_are_cut_into_windows(folder: Path) -> None:
    runs = [read_run(folder / "runs" / cell_name(8, 4) / f"seed{seed}") for seed in (0, 1)]
    found = rates.masses(runs, 7)
    assert [one.label for one in found] == ["first eighth", "at a quarter", "at half", "last eighth"]
    for one in found:
        assert one.groups == 2 * 2 * 4  # runs, steps, problems
        assert one.silent + one.between.sum() == pytest.approx(1)
    assert found[0].none > found[-1].none
    assert found[-1].every > found[0].every


def test_groups_without_a_verdict_are_left_out(tmp_path: Path) -> None:
    line = {"step": 1, "groups/correct": [0, 0, 2, "x"], "groups/judged": [0, 2, 2, 2]}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (one, *_) = rates.masses([read_run(tmp_path)], 1)
    assert (one.groups, one.none, one.every) == (2, 0.5, 0.5)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    assert rates.rate_panel([read_run(tmp_path)], 4) is None


def test_what_is_missing_is_said_and_hostile_names_are_inert(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "sweep")
    shutil.rmtree(copy / "runs" / cell_name(2, 4))
    (copy / "runs" / cell_name(2, 8) / "seed0" / "data.json").unlink()
    runs = change(copy)["runs"]
    runs[2]["folder"] = PAYLOADS["image"]
    runs[7]["stopped"] = {"step": 3, "unit": "rollouts", "compute": 96, "why": PAYLOADS["script"]}
    runs[7]["final"] = {}
    change(copy, runs=runs[:-2] + runs[-1:], failures={"the failed one, seed 0": PAYLOADS["closing tags"]},
           recipe=PAYLOADS["attribute"])  # fmt: skip
    path = copy / "sweep.json"
    named = path.read_text().replace(json.dumps(cell_name(8, 4)), json.dumps(PAYLOADS["image"]))
    path.write_text(named.replace('"keys": {', f'"keys": {{{json.dumps(PAYLOADS["style"][:40])}: 1, '))
    text = assert_inert(report.build_sweep(copy)).text
    assert f"{cell_name(2, 4)}, seed 0: left out of the curves." in text
    assert "1 runs were stopped early" in text
    assert "stopped at step 3: " + PAYLOADS["script"] in text
    assert PAYLOADS["closing tags"] in text
    assert PAYLOADS["image"] in text
    assert PAYLOADS["style"][:40] + "=1, problems_per_step=4" in text


def test_a_sweep_of_other_keys_has_no_frontier(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "sweep")
    found = change(copy)
    cells, runs = found["cells"][:1], found["runs"][:2]
    change(copy, cells=cells, runs=runs)
    assert "there is no frontier" in assert_inert(report.build_sweep(copy)).text
    with pytest.raises(DataError, match="no frontier to draw"):
        report.sweep_figure(copy, tmp_path / "no.png")


def test_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sweep.json` cannot be read"):
        report.build_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(CheckpointError, match="`cells` is missing"):
        report.build_sweep(tmp_path)


def test_figure(folder: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    image = imread(report.sweep_figure(folder, tmp_path / "new" / "sweep.png"))
    assert image.shape[1] == 2400
    assert np.ptp(image[:, 1700:]) > 0  # the map is drawn
