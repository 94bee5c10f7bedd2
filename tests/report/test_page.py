from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hone import report
from hone.core.errors import CheckpointError, HoneError
from report.fake_run import write_comparison, write_run

ALLOWED_STYLE = re.compile(r"<style>(.*?)</style>", re.S)


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_inert(path: Path) -> Elements:
    page = path.read_text(encoding="utf-8")
    assert len(page) < 4e6
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    elements = Elements(page)
    tags = [tag for tag, _ in elements.found]
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(tags)
    assert tags.count("style") == 1
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
        assert (attributes.get("href") or "#").startswith("#"), tag
    sheet = ALLOWED_STYLE.findall(page)[0]
    assert "url(" not in sheet
    assert "@import" not in sheet
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = next(
        a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="|url\()#([\w-]+)', page))
    assert referred <= set(ids)
    return elements


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "demo", steps=30)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.build([write_run(tmp_path_factory.mktemp("hostile") / "run", steps=30, hostile=True)])


@pytest.fixture(scope="module")
def page(run: Path) -> Path:
    return report.build([run])


def test_run_page_tells_the_story(run: Path, page: Path) -> None:
    assert page == run / "report.html"
    elements = assert_inert(page)
    rows = [json.loads(line) for line in (run / "eval.jsonl").read_text().splitlines()]
    for row in (rows[0], rows[-1]):
        assert f"{100 * row['pass@1']['value']:.0f}%" in elements.text
    for title in ("pass@k", "Learning curve", "By difficulty", "Per-problem pass rates", "Entropy", "Answer length",
                  "Groups without signal", "Sampler against trainer", "Clip share", "Where the time went",
                  "Pass rates in training", "What it cost", "saved by sharing"):  # fmt: skip
        assert title in elements.text
    assert "apart, a clear gain" in elements.text
    assert "1 error" in elements.text
    drawn = [a for tag, a in elements.found if tag == "svg" and (a.get("class") or "").startswith("maze")]
    assert len(drawn) >= 28
    labels = [a["aria-label"] for tag, a in elements.found if tag == "svg"]
    assert all(labels)


def test_same_folder_same_page(run: Path, page: Path, tmp_path: Path) -> None:
    assert report.build([run], tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_hostile_text_is_inert(hostile_page: Path) -> None:
    elements = assert_inert(hostile_page)
    assert "<script>document.title='owned'</script>" in elements.text
    assert "{{ 7*7 }}" in elements.text
    assert "96,1" in elements.text  # what was cut off a text of 100,000 characters is counted


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "pass_rate": 0.25}\n{"step": 2}\n')
    elements = assert_inert(report.build([tmp_path]))
    assert "The folder has no eval.jsonl." in elements.text
    assert "training pass rate" in elements.text
    (tmp_path / "metrics.jsonl").write_text("")
    assert "Nothing has been measured yet" in assert_inert(report.build([tmp_path])).text


def test_text_tasks_and_runs_under_way(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=12, task="gsm8k")
    lines = (run / "eval.jsonl").read_text().splitlines()
    (run / "eval.jsonl").write_text(lines[0] + "\n")
    (run / "summary.json").write_text('{"finished": false}')
    text = assert_inert(report.build([run])).text
    assert "has not finished" in text
    assert "Measured once so far" in text
    for words in ("#### 36", "✓", "✗", "no verdict: timeout", "reward 0.4", "user: Ann has 3 boxes"):
        assert words in text


def test_several_runs(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "demo", steps=12, gain=0.2, seed=1, method="grpo")
    text = assert_inert(report.build([run, other], tmp_path / "both.html")).text
    assert "2 runs side by side" in text
    assert f"{run.parent.name}/demo" in text  # equal names are told apart
    assert "credit.name" in text
    with pytest.raises(HoneError, match="No run"):
        report.build([])


def test_figures(run: Path, tmp_path: Path) -> None:
    svg, png = report.figures(run, tmp_path)
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert (svg.name, png.name) == ("figure.svg", "figure.png")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "metrics.jsonl").write_text('{"step": 1, "rollouts": 8, "pass_rate": 0.25}\n')
    assert report.story_figure(bare, tmp_path / "bare.png").stat().st_size > 1000


def test_comparison_page(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "compare", seeds=3)
    text = assert_inert(report.build_comparison(folder)).text
    assert "maxrl leads on pass@1" in text
    assert re.search(r"pass@1: maxrl above rloo by \d\.\d points \[\d\.\d, \d\.\d\] at 95%, 3 seeds", text)
    assert "pass@1: undecided between rloo and grpo" in text
    shutil.rmtree(folder / "grpo-1")
    assert "grpo, seed 1: left out of the curves" in assert_inert(report.build_comparison(folder)).text


def test_comparison_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"compare.json` cannot be read"):
        report.build_comparison(tmp_path)
    (tmp_path / "compare.json").write_text('{"methods": ["a"], "metrics": ["pass@1"]}')
    with pytest.raises(CheckpointError, match="`table` is missing"):
        report.build_comparison(tmp_path)


def test_import_is_light() -> None:
    code = "import sys, hone.report; print([m for m in ('torch', 'matplotlib', 'scipy', 'jinja2') if m in sys.modules])"
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.stdout.strip() == "[]"
