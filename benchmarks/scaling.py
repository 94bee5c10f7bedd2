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


def measure(workloads: Sequence[Workload], rounds: int) -> list[dict[str, float]]:
    """Median seconds a sampled token of each phase. Workloads take turns: no drift of the machine favours one."""
    with tempfile.TemporaryDirectory(prefix="hone-scaling-") as name:
        folders = [Path(name) / str(i) for i in range(len(workloads))]
        for folder in folders:
            folder.mkdir()
        benches = [Bench(workload, folder) for workload, folder in zip(workloads, folders)]
        found: list[list[dict[str, float]]] = [[] for _ in benches]
        for turn in range(WARM_UP + rounds):
            for workload, bench, steps in zip(workloads, benches, found):
                print(f"{turn}: {workload.rollouts} rollouts ...", file=sys.stderr, flush=True)
                step = bench.step()
                seconds = {
                    "sampling": step.phases["sample"], "training": step.phases["train"], "step": step.seconds,
                }  # fmt: skip
                steps.append({phase: seconds[phase] / step.sampled for phase in PHASES})
    return [
        {phase: statistics.median(step[phase] for step in steps[WARM_UP:]) for phase in PHASES}
        for steps in found
    ]


def ratios(first: str, names: Sequence[str], found: Sequence[dict[str, float]]) -> str:
    """Microseconds a token, with the ratio to the least of the column."""
    least = {phase: min(row[phase] for row in found) for phase in PHASES}
    columns = [first, *(f"{phase}, µs a token" for phase in PHASES)]
    rows = [
        [name, *(f"{1e6 * row[phase]:.1f} ({row[phase] / least[phase]:.2f}×)" for phase in PHASES)]
        for name, row in zip(names, found)
    ]
    return table(columns, rows)


def by_rollouts(base: Workload, largest: int) -> list[Workload]:
    """Steps of 64, 128, ... rollouts."""
    sizes = [SMALLEST << i for i in range(16) if SMALLEST << i <= largest]
    return [replace(base, problems=n // base.generations) for n in sizes]


def by_cuts(base: Workload) -> list[Workload]:
    """A step of 512 rollouts in 1, 2, 4 and 8 passes: its groups are dealt out evenly."""
    problems = CUT // base.generations
    stored = problems * base.prompt + CUT * base.completion
    return [replace(base, problems=problems, max_tokens=stored // cut) for cut in CUTS]


def main() -> None:
    """Read the command line, measure, print two tables and write the figures."""
    parser = arguments(__doc__, rounds=3)
    add_size(parser)
    parser.add_argument("--largest", type=int, default=LARGEST, help="rollouts of the largest step")
    given = parser.parse_args()
    base = workload_of(given)
    growing = by_rollouts(base, given.largest)
    sizes = [workload.rollouts for workload in growing]
    grown = measure(growing, given.rounds)
    cut = measure(by_cuts(base), given.rounds)
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
