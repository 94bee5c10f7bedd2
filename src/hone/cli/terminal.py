"""What is printed to a terminal: consoles, text of models and data made safe, errors as one paragraph."""

from __future__ import annotations

import shutil
import sys
import textwrap
import traceback

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hone.core.errors import HoneError

WIDTH = 100


def console(stderr: bool = False) -> Console:
    """A console on the present standard output (or error), made anew so that redirections are seen."""
    return Console(stderr=stderr, highlight=False, emoji=False)


def plain(text: object) -> str:
    """`text` without terminal control sequences, control and direction characters; newline and tab stay."""
    from hone.report.words import clean

    return clean(str(text))


def safe(text: object) -> Text:
    """`plain` text that rich shows as it is: its square brackets are no markup."""
    return Text(plain(text))


def say(text: object, style: str = "") -> None:
    """Print plain text, wrapped by the terminal alone, so that paths and formulas stay whole."""
    console().print(Text(plain(text), style=style), soft_wrap=True)


def figures(title: str, *columns: str) -> Table:
    """An empty table of figures."""
    table = Table(box=None, padding=(0, 1), header_style="dim", title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def show_figures(table: Table) -> None:
    """Print a table whole: where the terminal is too narrow its lines run on, and no figure is cut off."""
    shown = console()
    shown.width = max(shown.width, Measurement.get(shown, shown.options.update(width=10_000), table).maximum)
    shown.print(table, soft_wrap=True)


def indent(text: str) -> str:
    """Every line two spaces in."""
    return textwrap.indent(text, "  ")


def paragraph(text: str) -> str:
    """`text` as one paragraph at the terminal's width; words and paths are never broken."""
    width = min(WIDTH, shutil.get_terminal_size().columns)
    words = " ".join(plain(text).split())
    return textwrap.fill(words, max(40, width), break_long_words=False, break_on_hyphens=False)


def show_error(error: HoneError) -> None:
    """`error: <what> <mend>` on standard error, and below it the error's list, each entry on a line of its own."""
    show_line(f"error: {error.what} {error.mend}")
    for line in error.lines:
        console(stderr=True).print(Text(indent(" ".join(plain(line).split()))), soft_wrap=True)


def show_line(text: str) -> None:
    """One paragraph on standard error."""
    console(stderr=True).print(Text(paragraph(text)), soft_wrap=True)


def show_traceback(error: BaseException) -> None:
    """The traceback of an exception that nobody expected, on standard error; its message may quote data."""
    print(plain("".join(traceback.format_exception(error))), end="", file=sys.stderr)
