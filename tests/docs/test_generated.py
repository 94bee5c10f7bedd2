"""The committed pages are those the code makes now, every link leads somewhere, every command resolves."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from hone.catalog import REGISTRY
from hone.cli.arguments import split
from hone.methods import cards
from hone.recipes.load import example, resolve

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / n for n in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
NAMES = [str(p.relative_to(ROOT)) for p in PAGES]
EXACT_STAGES = ("credit", "objective", "correction", "kl", "entropy", "reduction")


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")


def visible(page: Path) -> str:
    """A page without its comments."""
    return re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.S)


def test_pages_are_up_to_date():
    wanted = generate.pages()
    for path, text in wanted.items():
        assert path.is_file(), f"{path} is missing: run `make docs`"
        assert path.read_text(encoding="utf-8") == text, f"{path} is old: run `make docs`"
    assert set((ROOT / "docs" / "methods").glob("*.md")) <= set(wanted)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", visible(page), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {generate.slug(h) for h in headings}, (
                f"{page.name} links to {target}: no such heading"
            )


def commands(page: Path) -> list[str]:
    """The `hone train` and `hone sft` lines of its shell blocks, continuation lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", visible(page), flags=re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").split("\n")
    return [line for line in lines if re.match(r"hone (train|sft)\b", line)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_resolve(page: Path):
    for line in commands(page):
        words = shlex.split(line, comments=True)
        kept = [w for i, w in enumerate(words[2:], 2) if not w.startswith("--") and words[i - 1] != "--out"]
        recipe, overrides = split(kept)
        if recipe is None:
            recipe = "demo" if words[1] == "train" else "sprout"
        if recipe.endswith(".yaml"):  # the reader's own file
            recipe = {"task": "maze"}
        assert resolve(recipe, overrides), line


def test_recipes_of_the_guide_resolve():
    blocks = re.findall(r"```yaml\n(.*?)```", visible(ROOT / "docs" / "guide.md"), flags=re.S)
    assert blocks
    for block in blocks:
        assert resolve(yaml.safe_load(block))


def test_python_of_the_guide_runs():
    blocks = re.findall(r"```python\n(.*?)```", visible(ROOT / "docs" / "guide.md"), flags=re.S)
    short = [block for block in blocks if "hone.train" not in block]
    assert len(short) >= 2
    names: dict = {}
    for block in short:
        exec("import hone\n" + block, names)
    assert names["score"](["a ", "b"], ["a", "a"]) == [1.0, 0.0]


def test_excerpts_in_contributing_are_the_code():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"In `([^`]+)`:\n\n```\w+\n(.*?)```", text, flags=re.S)
    assert len(found) == 5
    for path, block in found:
        code = (ROOT / path).read_text(encoding="utf-8").splitlines()
        for line in block.splitlines():
            assert line in code or line.strip() in ("", "# ..."), f"{path} has no line {line!r}"


def test_every_piece_says_which_test_pins_it_down():
    found = list(generate.pieces())
    for stage in ("curriculum", "episode", "selectors", "credit", "objective", "correction", "kl"):
        assert {p.name for p in found if p.stage == stage} == set(REGISTRY.names(stage))
    for piece in found:
        assert all(piece.facts[key] for key in ("trl", "verl", "tests")), piece.name
        for test in piece.facts["tests"]:
            text = (ROOT / test).read_text(encoding="utf-8")
            names = (piece.name, piece.made.__name__, piece.facts.get("function", piece.name))
            named = any(re.search(rf"\b{n}\b", text) for n in names)
            assert named or piece.stage not in EXACT_STAGES, f"{test} does not speak of {piece.name}"


@pytest.mark.parametrize("card_id", cards.ids())
def test_cards_are_whole(card_id: str):
    card = cards.load(card_id)
    assert card.id == card_id
    assert all((card.title, card.source, card.summary, card.when, card.trl, card.verl))
    assert set(card.stages) <= set(cards.STAGES)
    if card.trains:
        assert {"curriculum", "episode", "credit", "objective", "reduction"} <= set(card.composition)
    else:
        assert all((ROOT / test).is_file() for test in card.tests)
        assert card.tests


@pytest.mark.parametrize("card_id", cards.training_ids())
def test_a_surrogate_says_so(card_id: str):
    """A card without a `surrogate` sentence uses only pieces that are gradients of what they state."""
    from hone.catalog import build_method

    method = build_method(example(card_id))
    parts = [p for p in (method.credit, method.objective) if p is not None]
    assert bool(cards.load(card_id).surrogate) == any(p.surrogate for p in parts)
