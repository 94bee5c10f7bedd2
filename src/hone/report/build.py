"""Builds the pages: figures, stories and galleries into templates, under a content security policy without holes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from hone.core.errors import HoneError
from hone.report import (
    abstractions,
    compare,
    cost,
    fits,
    frontiers,
    gallery,
    heat,
    panels,
    plots,
    rates,
    runs,
    story,
    sweep,
    sweep_curves,
)
from hone.report.data import number, read_run
from hone.report.picture import story_figure
from hone.report.theme import DARK, LIGHT, Drawing, variables
from hone.report.words import clean, count, duration, percent

TEMPLATES = Path(__file__).parent / "templates"


def build(runs_: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run (default RUN/report.html) or of several overlaid (default beside the first run).

    Returns the page's path. CheckpointError if a folder is no run; HoneError without a run.
    """
    if not runs_:
        raise HoneError("No run was given.", "Name at least one run folder.")
    read = [read_run(Path(path)) for path in runs_]
    if len(read) == 1:
        run = read[0]
        curves = panels.learning_curves(run)
        groups = {
            "heroes": [panels.pass_at_k_panel(run)],
            "where": [panels.level_panel(run), panels.histogram_panel(run),
                      panels.pass_at_k_panel(run, "maj"), panels.pass_at_k_panel(run, "worst")],
            "progress": [*(panels.lines_panel(run, lines) for lines in panels.PROGRESS),
                         rates.rate_panel([run], number(run.recipe, "num_generations"))],
            "health": [*(panels.lines_panel(run, lines) for lines in panels.HEALTH), panels.loss_panel(run)],
            "time": [panels.time_panel(run)],
        }  # fmt: skip
        found = {name: [p for p in group if p is not None] for name, group in groups.items()}
        page = _page(
            "run.html", [*chain.from_iterable(found.values()), *curves.values()], run=run, headline=story.headline(run),
            tiles=story.tiles(run), facts=story.facts(run), attention=story.attention(run), panels=found,
            curves=curves, pairs=gallery.pairs(run), training=gallery.training(run),
            statuses=story.statuses(run), times=panels.time_shares(run), evals=runs.eval_table(run),
            hints=abstractions.success(run), spread=abstractions.allocation(run),
            cost=cost.phases(run), cost_facts=cost.facts(run),
            recipe=story.flat(run.recipe), title=f"{run.name}: {story.headline(run).line()}",
        )  # fmt: skip
        return _write(page, Path(out) if out else run.path / "report.html")
    named = runs.distinct_names(read)
    cards = runs.overlay(named)
    page = _page("runs.html", cards.values(), table=runs.table(named), curves=cards, notes_=runs.notes(named),
                 differing=runs.differing(named), title=f"{len(named)} runs side by side")  # fmt: skip
    return _write(page, Path(out) if out else read[0].path.resolve().parent / "report.html")


def build_comparison(folder: Path) -> Path:
    """Write FOLDER/report.html from FOLDER/compare.json and the arms' run folders; returns its path.

    CheckpointError if compare.json is missing or broken. Arms whose folders are gone are said and left out of curves.
    """
    folder = Path(folder)
    comparison = compare.read_comparison(folder)
    cards = compare.panels_of(comparison)
    page = _page(
        "compare.html", [p for group in cards.values() for p in group], comparison=comparison, panels=cards,
        verdicts=compare.verdicts(comparison), table=compare.table(comparison), headline=compare.headline(comparison),
        arms=compare.arms(comparison), title=f"Comparison: {', '.join(comparison.methods)} on {comparison.recipe}",
    )  # fmt: skip
    return _write(page, folder / "report.html")


def build_sweep(folder: Path) -> Path:
    """Write FOLDER/report.html from FOLDER/sweep.json and the run folders it names; returns its path.

    CheckpointError if sweep.json is missing or broken. Runs that are gone, have failed or have not ended are said.
    """
    folder = Path(folder)
    read = sweep.read_sweep(folder)
    found = frontiers.frontiers_of(read.series)
    frontier, tracks = frontiers.frontier_panel(found), frontiers.track_panels(found)
    maps = [*heat.fitted_maps(found), heat.held_out_map(read)]
    heats = [heat.heat_panel(one) for one in maps if one is not None]
    masses, curves = sweep_curves.rate_panels(read), sweep_curves.curve_panels(read)
    every = [
        *([frontier] if frontier else []),
        *tracks,
        *heats,
        *masses,
        *chain.from_iterable(curves.values()),
    ]
    headline = frontiers.verdict(found)
    page = _page(
        "sweep.html", every, sweep=read, headline=headline, notes_=[*read.notes, *found.why], frontier=frontier,
        tracks=tracks, heats=heats, rates=masses, curves=curves, cells=sweep.cell_table(read),
        runs=sweep.run_table(read), common=sweep.common(read), title=f"Sweep of {read.recipe}: {headline[0]}",
    )  # fmt: skip
    return _write(page, folder / "report.html")


def build_fit(found: Mapping[str, Any], out: Path, *, price_per_hour: float | None = None) -> Path:
    """Write the page of what `hone.training.fitting.fit_runs` returned (fit.json) to `out`; returns `out`.

    Readings come from the run folders that it names; a recipe whose folders are gone is in the tables alone.
    `price_per_hour` is needed if the unit is price. DataError if no recipe is named.
    """
    read, notes = fits.read_fits(found, price_per_hour)
    cards, overlay = fits.recipe_panels(found, read), fits.overlay_panel(found, read)
    headline = fits.headline(found, read)
    page = _page(
        "fit.html", [*([overlay] if overlay else []), *cards], headline=headline, notes_=notes, panels=cards,
        overlay=overlay, parameters=fits.parameters(read), standings=fits.standings(found),
        held=fits.held_out(read), title=f"Fit: {headline[0]}",
    )  # fmt: skip
    return _write(page, Path(out))


def figures(run: Path, out_dir: Path) -> list[Path]:
    """Write `figure.svg` and `figure.png`, the run's story as one picture, into `out_dir`; returns their paths."""
    return [story_figure(run, Path(out_dir) / f"figure.{suffix}") for suffix in ("svg", "png")]


def _page(template: str, cards: Iterable[panels.Panel], **content: Any) -> str:
    """Render `template`. Every text is cleaned and escaped; every style is in one element, named by its hash."""
    import jinja2

    def inert(value: Any) -> Any:
        return value if isinstance(value, Markup) else clean(str(value))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=inert, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"count": count, "percent": percent, "duration": duration}
    css = _css(d for card in cards for d in (card.narrow, card.wide) if d is not None)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(
        policy=policy, css=Markup(css), units=plots.UNIT_WORDS, **content
    )


def _css(drawings: Iterable[Drawing]) -> str:
    rules: dict[str, str] = {}
    for drawing in drawings:
        rules |= drawing.rules
    sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    themes = f":root{{{variables(LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
    return themes + "\n" + sheet + "".join(f".{name}{{{rule}}}" for name, rule in sorted(rules.items()))


def _write(page: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8", newline="\n")
    return path
