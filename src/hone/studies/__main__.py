"""`python -m hone.studies [ID...]`: run what is missing of the studies, and write a file of results for each."""

from __future__ import annotations

import argparse
from pathlib import Path

from hone.studies import harness

OUT = Path("claims")


def main() -> None:
    """Run the named studies, or all."""
    words = argparse.ArgumentParser(prog="python -m hone.studies", description=__doc__)
    words.add_argument("ids", nargs="*", help=f"studies (default: all): {', '.join(harness.ids())}")
    words.add_argument("--short", action="store_true", help="a form of seconds, which decides nothing")
    words.add_argument(
        "--workers", type=int, default=1, help="processes of one thread (default: %(default)s)"
    )
    words.add_argument("--only", default="", help="run cells with this in their keys: `--only=-16/`")
    words.add_argument("--out", type=Path, default=OUT, help="folder of results (default: %(default)s)")
    chosen = words.parse_args()
    for study in [harness.load(name) for name in chosen.ids or harness.ids()]:
        if study.gpu and not chosen.ids and not chosen.short and harness.device() == "cpu":
            print(f"{study.id}: left out on a CPU; name it, or set HONE_STUDY_DEVICE=cuda", flush=True)
            continue
        whole = harness.run_study(
            study, chosen.out / f"{study.id}.json", short=chosen.short, workers=chosen.workers, only=chosen.only,
            tell=lambda text: print(text, flush=True),
        )  # fmt: skip
        for name, claim in whole["claims"].items():
            limits = (
                f" {claim['value']:.3g} [{claim['low']:.3g}, {claim['high']:.3g}]" if "value" in claim else ""
            )
            print(f"{study.id} {name}: {claim['verdict']}{limits} ({claim['statement']})", flush=True)


if __name__ == "__main__":
    main()
