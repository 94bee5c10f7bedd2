"""Hostile completions on the page: escaped in the file, and inert in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hone import report
from hone.report.words import clean
from report.fake_run import write_comparison
from report.hostile import PAYLOADS, write_hostile_run
from report.test_page import assert_inert

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
         "--virtual-time-budget=3000")  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.build([write_hostile_run(tmp_path_factory.mktemp("hostile") / "run")])


def test_every_payload_is_text_and_nothing_else(page: Path) -> None:
    elements = assert_inert(page)
    squeezed = " ".join(elements.text.split())
    for name, text in PAYLOADS.items():
        assert " ".join(clean(text)[:200].split()) in squeezed, name


def test_the_policy_lets_in_one_style_and_nothing_more(page: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.read_text(encoding="utf-8"))
    assert policy is not None
    rules = dict(rule.partition(" ")[::2] for rule in policy[1].replace("&#39;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["style-src"])
    assert set(rules) == {"default-src", "style-src", "base-uri", "form-action"}


def test_a_comparison_of_hostile_names_is_inert(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "compare", seeds=2)
    text = (folder / "compare.json").read_text(encoding="utf-8")
    found = json.loads(text.replace('"rloo"', json.dumps(PAYLOADS["closing tags"])))
    found["recipe"] = PAYLOADS["attribute"]
    found["runs"][0]["folder"] = PAYLOADS["image"]
    (folder / "compare.json").write_text(json.dumps(found), encoding="utf-8")
    assert PAYLOADS["closing tags"] in assert_inert(report.build_comparison(folder)).text


class Tags(HTMLParser):
    """How often each element occurs, and the title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1


def browse(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.skipif(BROWSER is None, reason="needs chromium to see that nothing runs")
def test_nothing_runs_in_a_browser(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path / "profile")
    assert "data-owned" not in done.stdout.split(">", 2)[1]  # <!DOCTYPE html><html ...>
    title = re.search("<title>(.*?)</title>", page.read_text(encoding="utf-8"), re.S)
    assert title is not None
    assert title[0] in done.stdout
    before, after = Tags(page.read_text(encoding="utf-8")).counts, Tags(done.stdout).counts
    assert after == before
    assert "violates the following Content Security Policy" not in done.stderr


@pytest.mark.skipif(BROWSER is None, reason="needs chromium to see that nothing runs")
def test_the_browser_test_would_see_a_payload_that_runs(page: Path, tmp_path: Path) -> None:
    """The same page without its policy and with one payload let through."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<meta http-equiv[^>]*>", "", text).replace("<main>", f"<main>{PAYLOADS['script']}")
    (tmp_path / "open.html").write_text(text, encoding="utf-8")
    done = browse(tmp_path / "open.html", tmp_path / "profile")
    assert "data-owned" in done.stdout.split(">", 2)[1]
    assert "<title>owned</title>" in done.stdout


@pytest.mark.skipif(BROWSER is None, reason="needs chromium to see that nothing runs")
def test_the_policy_alone_stops_a_payload_that_was_not_escaped(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8").replace(
        "<main>", f"<main>{PAYLOADS['script']}{PAYLOADS['image']}"
    )
    (tmp_path / "leak.html").write_text(text, encoding="utf-8")
    done = browse(tmp_path / "leak.html", tmp_path / "profile")
    assert "data-owned" not in done.stdout.split(">", 2)[1]
    assert "violates the following Content Security Policy" in done.stderr
