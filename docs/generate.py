"""Writes the generated pages: docs/methods/*.md from the cards, docs/pieces.md from the registered pieces."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from hone import objectives
from hone.catalog import REGISTRY, build_method
from hone.core.registry import option_types
from hone.methods import cards
from hone.recipes import load
from hone.report import study_figure, study_section
from hone.studies import harness

DOCS = Path(__file__).parent
CLAIMS = DOCS.parent / "claims"
HEAD = "<!-- Written by `make docs`; edit the {source} instead. -->\n\n"
STAGES = {
    "curriculum": "Which problems next, and how many rollouts each.",
    "episode": "How a problem is attempted.",
    "rewards": "What is worth how much. The judge is the task's own verifier, or what `reward` names.",
    "selectors": "Which rollouts are learnt from.",
    "credit": "Which decisions earned the reward. Several pieces form a chain: `credit=[centre, scale]`.",
    "objective": "How the policy moves: a term for each action token, to be minimised.",
    "reduction": "How the terms become one loss: which denominator, by name. It is always that of the whole update.",
    "correction": "What is done about a sampler whose probabilities differ from the trainer's.",
    "kl": "How far the policy may go from the model it started from.",
    "entropy": "A price on decisiveness, set by `entropy_coef`.",
}
# Pieces that no registry holds: a recipe reaches them by keys of its own.
UNREGISTERED: dict[str, dict[str, Any]] = {
    "entropy": {"entropy_bonus": objectives.EntropyBonus},
}


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece as the page shows it. `made` is the configuration class, or the function of a reduction."""

    stage: str
    name: str
    made: Any
    facts: Mapping[str, Any]

    @property
    def anchor(self) -> str:
        """Where the page of pieces speaks of it."""
        return slug(f"{self.stage}: {self.name}")

    def formula(self) -> str:
        """The term in plain text with default options, or ''."""
        if "formula" in self.facts:
            return str(self.facts["formula"])
        if not hasattr(self.made, "formula"):
            return ""
        return str(self.made(**self.facts.get("options", {})).formula())

    def text(self) -> str:
        """The docstring of its function, or of the class where there is none."""
        room = importlib.import_module(self.made.__module__.rpartition(".")[0])
        function = getattr(room, self.facts.get("function", self.name), None)
        return inspect.getdoc(function if inspect.isfunction(function) else self.made) or ""


def pieces() -> Iterator[Piece]:
    """Every piece of every stage, in the order of the loop. Raises KeyError for one without facts in pieces.yaml."""
    facts = yaml.safe_load((DOCS / "pieces.yaml").read_text(encoding="utf-8"))
    for stage in STAGES:
        if stage == "reduction":
            made = {name: getattr(objectives, name) for name in facts[stage]}
        else:
            made = UNREGISTERED.get(stage) or {n: REGISTRY.get(stage, n) for n in REGISTRY.names(stage)}
        for name, one in made.items():
            yield Piece(stage, name, one, facts[stage][name])


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(docstring: str) -> str:
    """A docstring as Markdown: what would be read as markup outside of code is escaped."""
    parts = re.split(r"(`[^`]*`)", docstring)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<>|])", r"\\\1", p) for p in parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return (
        "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
        + "\n"
    )


def _options(made: Any) -> str:
    """The options of a piece as a table, or ''."""
    if not dataclasses.is_dataclass(made):
        return ""
    types = option_types(made)  # type: ignore[arg-type]
    hints = get_type_hints(made)
    rows = []
    for field in dataclasses.fields(made):
        if field.name not in types:
            continue
        default = "none: it must be set"
        if field.default is not dataclasses.MISSING:
            default = f"`{field.default!r}`"
        elif field.default_factory is not dataclasses.MISSING:
            default = f"`{field.default_factory()!r}`"
        rows.append([f"`{field.name}`", _type_words(hints[field.name]), default])
    return table(["option", "type", "default"], rows) if rows else ""


def _type_words(hint: Any) -> str:
    """A type as a person reads it."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    words = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    return f"`{words.removeprefix('collections.abc.')}`"


def _links(paths: Sequence[str], up: str) -> str:
    return ", ".join(f"[{p}]({up}{p})" for p in paths)


def pieces_page() -> str:
    """docs/pieces.md."""
    out = [
        HEAD.format(source="docstrings and `docs/pieces.yaml`"),
        "# Pieces\n\nA method is one choice for every stage of the loop. These are the choices. An option is set by "
        "its name (`hone train demo method=maxrl floor=0.125`) or with its piece "
        "(`credit='{name: maxrl, floor: 0.125}'`).\n\n"
        "In formulas, `r_i` is the reward of rollout i, N the size of its group, K the number of successes in it; "
        "`ρ_t` is the ratio of the new to the old probability of token t, `sg` stops the gradient, μ is the sampler, "
        "`ref` the reference model.\n",
    ]
    stage = ""
    for piece in pieces():
        if piece.stage != stage:
            stage = piece.stage
            out.append(f"\n## {stage}\n\n{STAGES[stage]}\n")
        out.append(f"\n### {piece.stage}: {piece.name}\n")
        if formula := piece.formula():
            out.append(f"\n```text\n{formula}\n```\n")
        out.append(f"\n{prose(piece.text())}\n")
        if options := _options(piece.made):
            out.append(f"\n{options}")
        facts = piece.facts
        out.append(
            f"\n- TRL: {facts['trl']}\n- verl: {facts['verl']}\n- tests: {_links(facts['tests'], '../')}\n"
        )
    return "".join(out)


def method_page(card: cards.Card) -> str:
    """docs/methods/<id>.md."""
    if not card.trains:
        return _untrained_page(card)
    ships = card.id in load.names()  # a recipe of the method's own: its last phase
    recipe = load.example(card.id)
    by_name = {(p.stage, p.name): p for p in pieces()}
    used = [by_name[key] for key in _used(card) if key in by_name]
    tests = list(
        dict.fromkeys(
            t for p in used if p.stage in ("rewards", "credit", "objective") for t in p.facts["tests"]
        )
    )
    run = f"hone train {card.id}" if ships else f"hone train demo method={card.id}"
    run = "hone sft my_recipe.yaml method=sft" if card.id == "sft" else run
    out = [
        HEAD.format(source=f"card `src/hone/methods/{card.id}.yaml`"),
        f"# {card.title}\n\n{card.summary.strip()}\n\n",
        f"Source: {card.source}.\n\n```text\n{build_method(recipe).formula()}\n```\n\n```bash\n{run}\n```\n",
    ]
    if card.when:
        out.append(f"\n## When to use it\n\n{card.when.strip()}\n")
    out.append("\n## Composition\n\nThese recipe keys are its defaults; any of them can be overridden.\n")
    out.append(f"\n```yaml\n{yaml.safe_dump(dict(card.composition), sort_keys=False)}```\n")
    out.append("\nPieces: " + ", ".join(f"[{p.name}](../pieces.md#{p.anchor})" for p in used) + ".\n")
    if card.surrogate:
        out.append(f"\n## A surrogate\n\n{card.surrogate.strip()}\n")
    out.append(_elsewhere(card))
    out.append(f"\n## What is tested\n\n{_links(tests, '../../')}\n")
    out.append(f"\n## What was measured\n\n{_claims(card)}")
    return "".join(out)


def _untrained_page(card: cards.Card) -> str:
    """The page of a method that plans or measures: it has no pieces and no formula."""
    out = [
        HEAD.format(source=f"card `src/hone/methods/{card.id}.yaml`"),
        f"# {card.title}\n\n{card.summary.strip()}\n\nSource: {card.source}. It trains nothing: no recipe names it as "
        f"its method.\n\n## When to use it\n\n{card.when.strip()}\n",
        _elsewhere(card),
        f"\n## What is tested\n\n{_links(card.tests, '../../')}\n",
        f"\n## What was measured\n\n{studied_claims(card.id)}",
    ]
    return "".join(out)


def _elsewhere(card: cards.Card) -> str:
    """Other libraries, and notes."""
    rows = [[name, words] for name, words in (("TRL", card.trl), ("verl", card.verl)) if words]
    out = "\n## Elsewhere\n\n" + table(["library", "name"], rows) if rows else ""
    if card.notes:
        out += "\n## Notes\n\n" + "".join(f"- {note.strip()}\n" for note in card.notes)
    return out


def _used(card: cards.Card) -> Iterator[tuple[str, str]]:
    """(stage, name) of the pieces of a card."""
    for stage, value in card.composition.items():
        for choice in value if isinstance(value, list) else [value]:
            yield stage, choice["name"] if isinstance(choice, Mapping) else str(choice)


def _claims(card: cards.Card) -> str:
    if not card.claims and not card.studies:
        return "No claim of the paper has been measured here yet.\n"
    head = list(dict.fromkeys(key for claim in card.claims for key in claim))
    out = table(head, [[str(claim.get(key, "")) for key in head] for claim in card.claims]) if head else ""
    if card.studies:
        out += (
            "Limits are Student's, of 95%, over paired seeds. A claim holds if the whole interval lies on the claimed "
            "side of the margin, and does not hold if none of it does; statistics, margins and directions were written "
            f"before the runs. `python -m hone.studies {' '.join(card.studies)}` runs what is missing.\n"
        )
    return out + "".join(_study(name) for name in card.studies)


def _study(name: str) -> str:
    """A study's results as its file in claims/ has them."""
    path = CLAIMS / f"{name}.json"
    if not path.is_file():
        study = harness.load(name)
        return f"\n### {study.title}\n\nNot run yet. Scale: {study.scale}. {study.budget}\n"
    return study_section(json.loads(path.read_text(encoding="utf-8")), f"{name}.png")


def pictures() -> dict[Path, Mapping[str, Any]]:
    """Where the figures of studies go, and the results that each is drawn from."""
    names = [name for card_id in cards.ids() for name in cards.load(card_id).studies]
    files = {name: CLAIMS / f"{name}.json" for name in names}
    found = {n: json.loads(f.read_text(encoding="utf-8")) for n, f in files.items() if f.is_file()}
    return {DOCS / "methods" / f"{n}.png": results for n, results in found.items() if results["curves"]}


def studied_claims(card_id: str) -> str:
    """The claims and tables that a study left in claims/<id>.json, part by part."""
    path = DOCS.parent / "claims" / f"{card_id}.json"
    if not path.is_file():
        return "No claim of the paper has been measured here yet.\n"
    study = json.loads(path.read_text(encoding="utf-8"))
    parts, claims, seeds = study["parts"], study["claims"], study["seeds"]
    commits = ", ".join(sorted({part["commit"] for part in parts.values()}))
    out = [
        f"In a {study['scale']}. {study['budget']['runs']:,} runs of up to {study['budget']['rollouts of a run']:,} "
        f"rollouts, {len(seeds)} paired seeds, at commit {commits}; all figures are in "
        f"[claims/{card_id}.json](../../claims/{card_id}.json). Limits are of 95%. A claim holds if the whole interval "
        "lies on the claimed side of the margin, and does not hold if none of it does. Margins and directions were "
        "fixed before the runs.\n"
    ]
    for claim_id, claim in claims.items():
        found = [
            [part, row["where"], _figure(row), row["verdict"]]
            for part, content in parts.items()
            for row in content["findings"]
            if row["claim"] == claim_id
        ]
        out.append(
            f"\n### {claim['statement']}\n\nClaimed: {claim['statistic']} {claim['direction']} {claim['margin']:g}.\n\n"
            + table(["part of the study", "where", "measured", "verdict"], found)
        )
    out.append("\n### Tables\n")
    for part, content in parts.items():
        out.append(f"\n{part}:\n\n{_part_tables(content['tables'])}")
    return "".join(out)


def _figure(row: Mapping[str, Any]) -> str:
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"


def _part_tables(tables: Mapping[str, Any]) -> str:
    """Lists as rows of one table; rows of a table of arms as they are."""
    if "arms" in tables:
        head = list(tables["arms"][0])
        return table(head, [[_cell(arm[key]) for key in head] for arm in tables["arms"]])
    width = max(len(values) for values in tables.values())
    rows = [[name, *map(_cell, values), *[""] * (width - len(values))] for name, values in tables.items()]
    return table(["", *[""] * width], rows)


def _cell(value: Any) -> str:
    return (
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def methods_page() -> str:
    """docs/methods/README.md: the list of all methods."""
    found = [cards.load(card_id) for card_id in cards.ids()]
    rows = [
        [
            f"[{c.id}]({c.id}.md)",
            c.title,
            ", ".join(c.stages),
            ("yes" if c.surrogate else "no") if c.trains else "trains nothing",
        ]
        for c in found
    ]
    return (
        HEAD.format(source="cards in `src/hone/methods/`")
        + "# Methods\n\nEach is a card: the composition of [pieces](../pieces.md) that reproduces a published method. "
        "A surrogate is a method whose update is the gradient of no stated objective in some of its uses; its page "
        "says which.\n\n" + table(["method", "title", "stages it changes", "surrogate"], rows)
    )


def pages() -> dict[Path, str]:
    """Every generated file and its content."""
    out = {DOCS / "pieces.md": pieces_page(), DOCS / "methods" / "README.md": methods_page()}
    return out | {DOCS / "methods" / f"{i}.md": method_page(cards.load(i)) for i in cards.ids()}


def main() -> None:
    """Write all pages, and remove those of cards that are gone."""
    wanted = pages()
    (DOCS / "methods").mkdir(exist_ok=True)
    for path in (DOCS / "methods").glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    for path, results in pictures().items():
        study_figure(results, path)


if __name__ == "__main__":
    main()
