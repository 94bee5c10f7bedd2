"""Mutated recipes: every outcome is a run, or an error of one paragraph. No traceback, no hang, no great memory."""

from __future__ import annotations

import resource
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from typer.testing import CliRunner

from faults.mutated_recipes import Case, cases, ends, small
from hone.cli import main
from hone.cli.arguments import split
from hone.cli.terminal import show_error
from hone.cli.training import prepare, show_plan
from hone.core.errors import HoneError
from hone.recipes.load import resolve

PROCESSOR, WALL = 30.0, 900.0  # seconds that one recipe may take
ONE_IN = 3  # how many of the valid recipes are run: one in ten of all
MOST_MEMORY = 1 << 20  # KiB that the process may grow by


def validated(case: Case, folder: Path) -> HoneError | None:
    """What `hone train` does before it opens anything, and its error."""
    try:
        if case.form == "mapping":
            phases = resolve(case.data())
        elif case.form == "file":
            path = folder / "recipe.yaml"
            path.write_text(case.text(), encoding="utf-8")
            phases = prepare(str(path), {}, "demo", None, False)[1]
        else:
            phases = prepare(*split(case.words()), "demo", None, False)[1]
        show_plan(phases)
    except HoneError as error:
        return error
    return None


def one_paragraph(error: HoneError, capsys: Any) -> None:
    capsys.readouterr()
    show_error(error)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "\n\n" not in said
    assert "Traceback" not in said
    assert len(said) < 3000, said
    assert error.what.strip()
    assert error.mend.strip(), error


def ran(case: Case, folder: Path) -> int:
    """The exit code of `hone train` with the recipe, its sizes cut down."""
    recipe, out = folder / "recipe.yaml", folder / "run"
    try:
        recipe.write_text(yaml.safe_dump(small(case.data()), allow_unicode=True), encoding="utf-8")
    except (UnicodeEncodeError, ValueError):  # text or a number that no file can hold
        return 2
    result = CliRunner().invoke(main.app, ["train", str(recipe), "--no-report", "--out", str(out)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 2), result.output
    assert "Traceback (most" not in result.stdout
    assert result.exit_code == 0 or result.stderr.startswith("error: ")
    last = [out, *sorted(out.glob("phase-*"))][-1]  # a recipe of phases has a folder for each
    assert result.exit_code == 2 or (last / "summary.json").is_file()
    return int(result.exit_code)


def fuzz(count: int, capsys: Any) -> Counter[str]:
    """Try `count` recipes; how many were valid, refused, run, and stopped with an error."""
    found: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    # Without explanations: they trace every line that runs, which takes minutes where a task lists its problems.
    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(cases())
    def one(case: Case) -> None:
        with tempfile.TemporaryDirectory() as name, ends(PROCESSOR, WALL):
            error = validated(case, Path(name))
            found["refused" if error else "valid"] += 1
            if error is not None:
                one_paragraph(error, capsys)
            if error is None and case.draw % ONE_IN == 0:
                found["run" if ran(case, Path(name)) == 0 else "stopped"] += 1

    one()
    capsys.readouterr()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST_MEMORY, f"the process grew by {grown / 2**20:.1f} GiB"
    return found


def test_fifty_recipes(capsys):
    found = fuzz(50, capsys)
    assert found["valid"] + found["refused"] >= 50
    assert min(found["valid"], found["refused"]) >= 10, found
    assert found["run"] >= 1, found


@pytest.mark.slow
def test_five_hundred_recipes(capsys):
    found = fuzz(500, capsys)
    assert found["valid"] + found["refused"] >= 500
    assert min(found["valid"], found["refused"]) >= 100, found
    assert found["run"] >= 15, found
