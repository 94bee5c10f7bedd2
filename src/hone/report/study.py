"""What a study found: its claims with their verdicts as Markdown, and its curves as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.report.theme import DASHES, LIGHT, SERIES, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_IN_A_ROW = 3
PANEL = (4.4, 3.3)  # inches
TITLE = 50  # letters a line


def study_section(results: Mapping[str, Any], picture: str = "") -> str:
    """A study's scale, budget and claims; `picture` is the path of its figure. Nothing here is typed: it is read."""
    claims = results["claims"]
    cells = results["cells"]
    commits = ", ".join(sorted({cell["commit"] for cell in cells.values()})) or "none yet"
    seconds = sum(cell["seconds"] for cell in cells.values())
    out = [
        f"\n### {results['title']}\n\n",
        f"Scale: {results['scale']}. {results['budget'].strip().rstrip('.')}. ",
    ]
    out.append(f"{len(cells)} cells, {seconds / 60:,.0f} minutes of one core, at commit {commits}.")
    if missing := results["missing"]:
        out.append(f" Not run: {len(missing)} cells ({_arms(missing)}).")
    head = ["claim", "statistic", "claimed", "measured", "seeds", "verdict"]
    lines = [head, ["---"] * len(head)]
    for name, claim in claims.items():
        limits = (
            "–" if "value" not in claim else f"{claim['value']:.3g} [{claim['low']:.3g}, {claim['high']:.3g}]"
        )
        claimed = f"{claim['direction']} {claim['margin']:g}"
        said = [f"{name}: {claim['statement']}", claim["statistic"], claimed, limits, str(claim["seeds"])]
        lines.append([*said, f"**{claim['verdict']}**"])
    rows = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    out.append("\n\n" + "\n".join(rows) + "\n")
    if picture and results["curves"]:
        out.append(f"\n![{results['title']}]({picture})\n")
    return "".join(out)


def _arms(keys: Sequence[str]) -> str:
    """The arms of cells, each with how many seeds."""
    counts: dict[str, int] = {}
    for key in keys:
        arm = key.rpartition("/")[0]
        counts[arm] = counts.get(arm, 0) + 1
    return ", ".join(f"{arm} × {count}" for arm, count in counts.items())


def study_figure(results: Mapping[str, Any], path: Path) -> Path:
    """Draw every curve of a study's results into `path` (.png or .svg); returns it."""
    from matplotlib.figure import Figure

    curves: Sequence[Mapping[str, Any]] = results["curves"]
    across = min(PANELS_IN_A_ROW, len(curves))
    down = -(-len(curves) // across)
    with style():
        figure = Figure(figsize=(PANEL[0] * across, PANEL[1] * down), layout="constrained", facecolor="white")
        grid: Any = figure.subplots(down, across, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number < len(curves):
                _draw(axes, curves[number])
            else:
                axes.set_axis_off()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    return path


def _draw(axes: Axes, curve: Mapping[str, Any]) -> None:
    """One panel: lines, with their intervals where there are any."""
    for number, (name, line) in enumerate(curve["series"].items()):
        again, hue = divmod(number, len(SERIES))
        colour, dash = LIGHT[SERIES[hue]], DASHES[(hue + again) % len(DASHES)]
        axes.plot(line["x"], line["y"], color=colour, linestyle=dash, label=name, linewidth=1.6)
        if line.get("low") and line.get("high"):
            axes.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.13, linewidth=0)
    axes.set_title(textwrap.fill(curve["title"], TITLE), fontsize=10, loc="left")
    axes.set_xlabel(curve["x"], fontsize=9)
    axes.set_ylabel(curve["y"], fontsize=9)
    for side, scale in (("x", curve.get("x_scale")), ("y", curve.get("y_scale"))):
        if scale:
            getattr(axes, f"set_{side}scale")(scale)
    axes.grid(color=LIGHT["grid"], linewidth=0.6)
    axes.legend(fontsize=7.5, frameon=False)
