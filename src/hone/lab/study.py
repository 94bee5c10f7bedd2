"""`python -m hone.lab.study`: test the claims of IsoCompute in the simulator and keep what is found in one file."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from hone.core.errors import DataError
from hone.lab import dials as dials_file
from hone.lab.claims import CLAIMS
from hone.lab.dials import Dials
from hone.lab.grids import Result, grid, interference, rates, single, tuned
from hone.lab.policies import allocation, bias

OUT = Path("claims") / "isocompute.json"
Block = Callable[[Dials], Result]


def blocks(dials: Dials) -> dict[str, Block]:
    """Every part of the study, by name: each takes seconds to a minute and is kept as soon as it is done."""
    found: dict[str, Block] = {}
    for name in dials["sets"]:
        for piece in dials["credits"] if name != "mixed" else ["grpo"]:
            found[f"grid, {name}, {piece}"] = partial(grid, name=name, piece=piece)
    for name in dials["tuned"]["sets"]:
        for piece in dials["tuned"]["credits"]:
            found[f"tuned, {name}, {piece}"] = partial(tuned, name=name, piece=piece)
    for piece in dials["credits"]:
        found[f"one problem, {piece}"] = partial(single, piece=piece)
    for name in dials["rates"]["sets"]:
        found[f"rates, {name}"] = partial(rates, name=name)
    found["interference"] = interference
    for name in dials["sets"]:
        found[f"allocation, {name}"] = partial(allocation, name=name)
    found["bias of optional stopping"] = bias
    return found


def digest(dials: Dials) -> str:
    """What results depend on: the dials, and the code of this room but for this file."""
    content = hashlib.sha256(json.dumps(dials, sort_keys=True).encode())
    for entry in sorted(resources.files("hone.lab").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".py") and entry.name != "study.py":
            content.update(entry.read_text(encoding="utf-8").encode())
    return content.hexdigest()[:16]


def run(dials: Dials, out: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Do what `out` does not hold yet, and return all of it.

    Parts are kept with the digest of dials and code, and the commit they ran at; those of another digest are
    done again. Raises DataError for a file that is not one of this program.
    """
    kept = _read(out)
    now, parts = digest(dials), {}
    for name, block in blocks(dials).items():
        old = kept.get(name)
        if old is not None and old.get("digest") == now:
            parts[name] = old
            continue
        began = time.perf_counter()
        result = block(dials)
        seconds = time.perf_counter() - began
        parts[name] = {
            "digest": now,
            "commit": commit_of(Path(__file__).parent),
            "seconds": round(seconds, 1),
            **result,
        }
        say(f"{name}: {result['runs']} runs in {seconds:.1f} s")
        for row in result["findings"]:
            limits = f"{row['value']:g} [{row['low']:g}, {row['high']:g}]"
            say(f"  {row['claim']} ({row['where']}): {limits} {row['verdict']}")
        _write(out, _whole(dials, {**kept, **parts}))
    whole = _whole(dials, parts)
    _write(out, whole)
    return whole


def _whole(dials: Dials, parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": "isocompute",
        "scale": "simulator: problems with shared features and a softmax over answers, exact readings",
        "budget": {
            "rollouts of a run": dials["grid"]["budgets"][-1],
            "runs": sum(p["runs"] for p in parts.values()),
        },
        "seeds": list(dials_file.seeds_of(dials)),
        "dials": dict(dials),
        "claims": {
            c.id: {
                "statement": c.statement,
                "statistic": c.statistic,
                "direction": c.direction,
                "margin": c.margin,
            }
            for c in CLAIMS.values()
        },
        "parts": parts,
    }


def _read(out: Path) -> dict[str, Any]:
    if not out.is_file():
        return {}
    try:
        return dict(json.loads(out.read_text(encoding="utf-8"))["parts"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{out} is no file of this study: {error}.", "Remove it, or name another.") from error


def _write(out: Path, whole: dict[str, Any]) -> None:
    """Write a file of results whole or not at all: a study that is killed leaves that of its last part."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_suffix(".part")
    beside.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, out)


def commit_of(here: Path) -> str:
    """The commit that the folder `here` stands at, with + where files of it differ; 'unknown' outside of a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", "--short", "HEAD")
    return (found + ("+" if git("status", "--porcelain", "--", str(here)) else "")) or "unknown"


def main() -> None:
    """Run the study with the dials that ship."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=OUT, help="where results are kept (default: %(default)s)")
    run(dials_file.load(), words.parse_args().out)


if __name__ == "__main__":
    main()
