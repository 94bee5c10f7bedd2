"""Seconds a token as a step grows from 64 to 4,096 rollouts, and as its training is cut into micro-batches.

python benchmarks/scaling.py [--largest 1024] [--json FILE]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import add_size, arguments, facts, run, table, workload_of, write

from hone.policies.loading import resolve_device
from hone.training.bench.stepping import Bench
from hone.training.bench.workload import Workload

WARM_UP = 1
SMALLEST, LARGEST = 64, 4096  # rollouts of a step
CUT = 512  # rollouts of the step that is cut into micro-batches
CUTS = (1, 2, 4, 8)
PHASES = ("sampling", "training", "step")


def measure(workload: Workload, rounds: int) -> dict[str, float]:
    """Median seconds a sampled token of each phase."""
    print(
        f"{workload.rollouts} rollouts, {workload.max_tokens} tokens a pass ...", file=sys.stderr, flush=True
    )
    with tempfile.TemporaryDirectory(prefix="hone-scaling-") as folder:
        bench = Bench(workload, Path(folder))
        steps = [bench.step() for _ in range(WARM_UP + rounds)][WARM_UP:]
    tokens = steps[0].sampled
    seconds = {
        "sampling": [s.phases["sample"] for s in steps],
        "training": [s.phases["train"] for s in steps],
        "step": [s.seconds for s in steps],
    }
    return {name: statistics.median(found) / tokens for name, found in seconds.items()}


def ratios(first: str, names: Sequence[str], found: Sequence[dict[str, float]]) -> str:
    """Microseconds a token, with the ratio to the least of the column."""
    least = {phase: min(row[phase] for row in found) for phase in PHASES}
    columns = [first, *(f"{phase}, µs a token" for phase in PHASES)]
    rows = [
        [name, *(f"{1e6 * row[phase]:.1f} ({row[phase] / least[phase]:.2f}×)" for phase in PHASES)]
        for name, row in zip(names, found)
    ]
    return table(columns, rows)


def by_rollouts(base: Workload, largest: int, rounds: int) -> tuple[list[int], list[dict[str, float]]]:
    """Steps of 64, 128, ... rollouts."""
    sizes = [SMALLEST << i for i in range(16) if SMALLEST << i <= largest]
    return sizes, [measure(replace(base, problems=n // base.generations), rounds) for n in sizes]


def by_cuts(base: Workload, rounds: int) -> list[dict[str, float]]:
    """A step of 512 rollouts in 1, 2, 4 and 8 passes: its groups are dealt out evenly."""
    problems = CUT // base.generations
    stored = problems * base.prompt + CUT * base.completion
    return [measure(replace(base, problems=problems, max_tokens=stored // cut), rounds) for cut in CUTS]


def main() -> None:
    """Read the command line, measure, print two tables and write the figures."""
    parser = arguments(__doc__, rounds=3)
    add_size(parser)
    parser.add_argument("--largest", type=int, default=LARGEST, help="rollouts of the largest step")
    given = parser.parse_args()
    base = workload_of(given)
    sizes, grown = by_rollouts(base, given.largest, given.rounds)
    cut = by_cuts(base, given.rounds)
    print(ratios("rollouts", [f"{n:,}" for n in sizes], grown))
    print(f"\nA step of {CUT:,} rollouts, its training cut:\n")
    print(ratios("micro-batches", [str(n) for n in CUTS], cut))
    body: dict[str, Any] = {
        "machine": facts(resolve_device(given.device)),
        "rollouts": [{"rollouts": n, **row} for n, row in zip(sizes, grown)],
        "micro_batches": [{"micro_batches": n, **row} for n, row in zip(CUTS, cut)],
    }
    write(given.json, body)


if __name__ == "__main__":
    run(main)
