"""Text of models and data cannot drive the terminal; errors are one paragraph."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hone.cli import terminal
from hone.core.errors import HoneError

HOSTILE = "\x1b[31mred\x1b]0;owned\x07\x9b2J\x00\u202e\rend"


def test_control_sequences_are_dropped_and_newlines_stay():
    assert terminal.plain(HOSTILE) == "red\nend"
    assert terminal.plain("a\tb\nc") == "a\tb\nc"


def test_markup_is_shown_as_it_is():
    file = io.StringIO()
    Console(file=file).print(terminal.safe("[bold]x[/bold] [link=evil]y"), soft_wrap=True)
    assert file.getvalue() == "[bold]x[/bold] [link=evil]y\n"


def test_say_prints_brackets_and_does_not_wrap(capsys):
    terminal.say("[red]" + "x" * 300)
    assert capsys.readouterr().out == "[red]" + "x" * 300 + "\n"


def test_an_error_is_one_wrapped_paragraph_on_standard_error(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    path = "/a/very/long/path/that-is-not-to-be-broken-" + "x" * 60 + ".jsonl"
    terminal.show_error(HoneError(f"The file {path} is\n\nmissing\x1b[31m.", "Make it " + "now " * 30))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: The file\n")
    assert path in captured.err
    assert "\n\n" not in captured.err
    assert "\x1b" not in captured.err
    assert all(len(line) <= 60 for line in captured.err.splitlines() if path not in line)


@pytest.mark.parametrize("mend", ["", "Mend it."])
def test_a_mend_is_optional(capsys, mend):
    terminal.show_error(HoneError("Broken.", mend))
    assert capsys.readouterr().err.split() == f"error: Broken. {mend}".split()


def test_a_table_wider_than_the_terminal_is_not_cut_off(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    table = terminal.figures("title", "a", "b")
    table.add_row("x" * 25, "y" * 25)
    terminal.show_figures(table)
    shown = capsys.readouterr().out
    assert "x" * 25 in shown
    assert "y" * 25 in shown
