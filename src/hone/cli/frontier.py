"""The frontier of a sweep as a table: the best setting for each budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hone.cli import terminal
from hone.cli.limits import share

ROWS = 7  # budgets that are shown, evenly along the logarithm of compute
NAMES = {"num_generations": "n*", "problems_per_step": "B_p*", "steps": "M*"}


def show(found: Mapping[str, Any]) -> None:
    """Print n*(C), B_p*(C) and M*(C) with their intervals, or that the data do not say which is best."""
    best = found["best"]
    keys = [key for key in NAMES if key in best]
    title = f"\nfrontier: the best cell for a budget, {found['metric']}"
    shown = terminal.figures(
        title, found["unit"], found["metric"], *(NAMES[key] for key in keys), "best cell"
    )
    last = len(best["compute"]) - 1
    for place in sorted({round(i * last / (ROWS - 1)) for i in range(ROWS)}):
        if best["reward"][place]["value"] is None:
            continue
        numbers = [_number(best[key][place]) for key in keys]
        shown.add_row(
            f"{best['compute'][place]:,.0f}", share(**best["reward"][place]), *numbers,
            terminal.safe(best["cells"][place]),
        )  # fmt: skip
    terminal.show_figures(shown)
    for key, fit in found["allocation"].items():
        terminal.say(f"{NAMES[key]}(C) over all of the other key: {_allocation(fit)}", "dim")


def _number(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "–"
    limits = f"[{value['low']:,.0f}, {value['high']:,.0f}]".replace("[", r"\[")
    known = "" if value["identified"] else ", not identified"
    return f"{value['value']:,.0f} {limits}{known}"


def _allocation(fit: Mapping[str, Any]) -> str:
    """The logistic of a key in words."""
    if "refused" in fit or fit["doubts"]:
        return f"no curve: {fit['refused'] if 'refused' in fit else '; '.join(fit['doubts'])}"
    steep = "a step" if fit["k"] == "step" else f"k {fit['k']['value']:.3g}"
    middle = fit["log_midpoint"]["value"]
    floor, height = fit["b"]["value"], fit["L"]["value"]
    return f"from {2**floor:.3g} to {2 ** (floor + height):.3g}, half way at {10**middle:,.0f} {fit['unit']}, {steep}"
