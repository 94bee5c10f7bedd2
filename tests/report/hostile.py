"""Texts that a model or a data file could hold to take over the page or the terminal that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from report.fake_run import write_run

OWNED = "document.documentElement.dataset.owned=1;document.title='owned'"
ZALGO = "Z" + "".join(chr(0x300 + i % 0x6F) for i in range(300)) + "algo"
PAYLOADS = {
    "script": f"<script>{OWNED}</script>",
    "closing tags": f"</pre></td></main></style></title></textarea></svg><script>{OWNED}</script>",
    "image": f'<img src=x onerror="{OWNED}">',
    "drawing": f'<svg onload="{OWNED}"><animate onbegin="{OWNED}" attributeName=x></svg>',
    "style": "<style>body{display:none !important}</style><link rel=stylesheet href=//evil.example/x.css>",
    "style attribute": '" style="position:fixed;inset:0;background:red',
    "attribute": f"\" onmouseover=\"{OWNED}\" x=\"' onfocus='{OWNED}' autofocus tabindex=1 x='",
    "frame": f'<iframe srcdoc="<script>parent.{OWNED}</script>"></iframe><object data=javascript:{OWNED}>',
    "head": "<base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example>",
    "form": f"<form id=x name=title><input name=title autofocus onfocus={OWNED}><details open ontoggle={OWNED}>",
    "comment": f"<!-- ]]> --!> <![CDATA[ <script>{OWNED}</script> ]]>",
    "link": f'<a href="javascript:{OWNED}" id=x>x</a> [x](javascript:{OWNED})',
    "template": "{{ 7*7 }} {% raw %} ${7*7} <%= 7*7 %> {{ ''.__class__ }}",
    "terminal": "\x1b[31mred\x1b[2J\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x00\x9b2J\x9d0;owned\x9c",
    "controls": "a\x08b\x7fc\x85d\x1bPq#0\x1b\\e\rf",
    "link of a terminal": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "string without end": "\x1b]0;no end \x1bPno end \x9dno end",
    "direction": "safe \u202eesrever\u202c \u2066isolate \u061c\u200f end {invoice \u202etxt.exe}",
    "unseen": "in\u200bvis\u2060ible \U000e0041\U000e0042 \ufff9a\ufffab\ufffb",
    "word": "W" * 3000,
    "marks": ZALGO * 3,
    "surrogate": "half \ud800 \udfff",
    "markup of rich": "[red]red[/red] [link=http://evil.example]x[/link] [/] :skull: \\[",
}
FILE_PAYLOADS = {k: v for k, v in PAYLOADS.items() if k != "surrogate"}  # no UTF-8 file can hold one


def write_hostile_run(folder: Path) -> Path:
    """A run folder in which every text that a model, a task or a user gives is one of PAYLOADS."""
    run = write_run(folder, steps=30, task="gsm8k")
    texts, plain = list(PAYLOADS.values()), list(FILE_PAYLOADS.values())
    rows = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    for at, row in enumerate(rows):
        text = texts[at % len(texts)]
        row |= {"text": text, "prompt": text, "answer": text, "detail": text, "meta": {"source": text}}
        if at % 4 == 3:
            row |= {"status": text, "reward": None, "finish_reason": text}
        if at % 5 == 2:
            row |= {"task": text}
    (run / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    recipe |= {f"{name} {text}": text for name, text in FILE_PAYLOADS.items()}
    recipe |= {"model": plain[0] + ZALGO, "method": PAYLOADS["word"], "task": PAYLOADS["closing tags"]}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"formula": "\n".join(texts), "hone": texts[0]}))
    kinds = {text: {"count": 1, "first": []} for text in texts}
    (run / "data.json").write_text(json.dumps({"rows": {"read": 40, "bad": len(kinds), "kinds": kinds}}))
    return run
