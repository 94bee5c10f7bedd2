"""Colours and drawing style, and matplotlib's SVG made fit for the page: inert, small, light and dark by CSS."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from hone.report.words import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIGHT = {
    "ink": "#1c2430",
    "muted": "#5f6b7a",
    "grid": "#e3e7ed",
    "before": "#8792a2",
    "after": "#1d63d8",
    "train": "#d27a09",
    "good": "#0b7a57",
    "bad": "#c23b12",
    "s3": "#a8267c",
    "s4": "#6b46c9",
    "s5": "#0c768f",
    "s6": "#876013",
}
DARK = {
    "ink": "#e8ecf2",
    "muted": "#98a4b5",
    "grid": "#2c3542",
    "before": "#8f9bad",
    "after": "#6aa5ff",
    "train": "#f2a541",
    "good": "#43c397",
    "bad": "#ff8560",
    "s3": "#ee7fc4",
    "s4": "#ab92ff",
    "s5": "#4fc3dc",
    "s6": "#d3a94a",
}
SERIES = ("after", "train", "good", "s3", "s4", "s5", "s6", "bad")  # told apart by dash and marker as well
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LEFT = 56
NARROW, WIDE = 320, 508  # CSS pixels: a card on a phone or in three columns, and in two columns
SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Drawing:
    """Inline SVG without style attributes, and the CSS rules (class -> declarations) that it needs."""

    markup: Markup
    rules: Mapping[str, str]


@contextmanager
def style(salt: str = "hone") -> Iterator[None]:
    """matplotlib settings of every figure; ids in the SVG are a function of `salt` and content."""
    import matplotlib

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": "sans-serif",
        "font.size": 10.5,
        "axes.labelsize": 10.5,
        "axes.edgecolor": LIGHT["muted"],
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.labelcolor": LIGHT["muted"],
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "axes.formatter.limits": (-4, 5),
        "grid.color": LIGHT["grid"],
        "grid.linewidth": 1.0,
        "text.color": LIGHT["ink"],
        "text.parse_math": False,
        "xtick.color": LIGHT["muted"],
        "ytick.color": LIGHT["muted"],
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "lines.linewidth": 1.9,
        "lines.solid_capstyle": "round",
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.03,
        "path.simplify": True,
        "path.simplify_threshold": 0.3,
    }
    with matplotlib.rc_context(settings):
        yield


def render(
    draw: Callable[[Axes], None], label: str, width: int = NARROW, height: int = 220, left: int = LEFT
) -> Drawing:
    """`draw` on one axes of `width` x `height` CSS pixels. `label` is read aloud and must be unique on the page.

    Margins are fixed, `left` pixels for the numbers of the y axis: plots in a column align, and no layout is solved.
    """
    from matplotlib.figure import Figure

    with style(f"{label} {width}"):
        figure = Figure(figsize=(width / 72, height / 72))
        axes = figure.add_axes((left / width, 38 / height, 1 - (left + 10) / width, 1 - 52 / height))
        draw(axes)
        axes.yaxis.set_label_coords(9 / width, 0.5 + 13 / height, transform=figure.transFigure)
        axes.xaxis.set_label_coords(0.5 + left / 2 / width, 17 / height, transform=figure.transFigure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return themed(file.getvalue(), label)


def themed(svg: str, label: str) -> Drawing:
    """matplotlib's SVG as inline SVG: each style attribute becomes a class, each palette colour a CSS variable.

    The page's content security policy forbids style attributes, and classes let the colours follow the reader's theme.
    """
    root = ElementTree.fromstring(svg)
    rules: dict[str, str] = {}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.text = node.text if node.tag == "text" else None
        node.tail = None
        if XLINK in node.attrib:
            node.set("href", node.attrib.pop(XLINK))
        if declarations := _declarations(node.attrib.pop("style", "")):
            name = "g" + hashlib.sha256(declarations.encode()).hexdigest()[:7]
            rules[name] = declarations
            node.set("class", name)
        if node.get("transform", "").startswith("rotate(-0 "):
            del node.attrib["transform"]
        for key in {"d", "x", "y", "transform"} & node.attrib.keys():
            rounded = re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.1f}", node.attrib[key])
            node.set(key, re.sub(r"\s+", " ", rounded).strip())
        if node.tag == "g" and node.attrib.get("id", "").split("_")[0] in _GROUPS:
            del node.attrib["id"]
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {"viewBox": box, "role": "img", "aria-label": clean(label), "class": "plot"}
    return Drawing(Markup(ElementTree.tostring(root, encoding="unicode")), rules)


def variables(palette: Mapping[str, str]) -> str:
    """The palette as CSS custom properties."""
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_GROUPS = {"figure", "axes", "patch", "line2d", "text", "matplotlib.axis", "xtick", "ytick", "legend"} | {
    "PathCollection", "LineCollection", "FillBetweenPolyCollection", "PolyCollection"}  # fmt: skip
_NAMES = {colour: name for name, colour in LIGHT.items()} | {"#ffffff": "card"}
_FONT = re.compile(r"font:\s*(?:(\d+|bold)\s+)?([\d.]+)px[^;]*")


def _declarations(text: str) -> str:
    """Declarations in one canonical spelling, with the page's own font and colours by name."""
    text = _FONT.sub(lambda m: f"font-size: {m[2]}px" + (f"; font-weight: {m[1]}" if m[1] else ""), text)
    text = re.sub(r"font-family:[^;]*;?", "", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda m: f"var(--{_NAMES[m[0]]})" if m[0] in _NAMES else m[0], text)
    return ";".join(part.strip().replace(": ", ":") for part in text.split(";") if part.strip())
