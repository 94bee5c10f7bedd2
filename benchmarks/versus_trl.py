"""A step of GRPO in TRL and in hone: the same weights, prompts, lengths, optimizer and dtype, taking turns.

python benchmarks/versus_trl.py [--cases equal-128,realistic-512] [--json FILE]
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from machine import arguments, facts, row, run, spread, table, write
from trl_side import TrlSide, missing, rows_of_a_pass

from hone.core.errors import HoneError
from hone.policies import shapes
from hone.policies.loading import resolve_autocast, resolve_device
from hone.training.bench.stepping import Bench, Step, synchronize
from hone.training.bench.workload import Workload

WARM_UP = 2  # steps of each that are not counted
LARGE = Workload("qwen3-0.6b", problems=16, prompt=128, completion=512)
CASES = {
    "cpu": {
        "equal-128": Workload(),
        "realistic-128": Workload(lengths="realistic"),
        "realistic-512": Workload(completion=512, lengths="realistic"),
        "long-prompts-64": Workload(prompt=256, completion=32),
        "long-prompts-128": Workload(problems=8, prompt=256, completion=32),
    },
    "cuda": {"equal-512": LARGE, "realistic-512": replace(LARGE, lengths="realistic")},
}
COLUMNS = (
    "case",
    "dtype",
    "TRL",
    "tokens",
    "TRL s",
    "hone s",
    "ratio",
    "sampling s",
    "other s",
    "grad norms",
)


class Mismatch(HoneError):
    """The two sides did not do the same work."""


@dataclass
class HoneSide:
    """hone's steps, and on a GPU the bytes each held above what was held when it began."""

    bench: Bench
    steps: list[Step]
    peaks: list[int]

    def turn(self) -> None:
        """Take one step."""
        device = self.bench.device
        if device.type == "cuda":
            synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            held = torch.cuda.memory_allocated(device)
        self.steps.append(self.bench.step())
        if device.type == "cuda":
            self.peaks.append(torch.cuda.max_memory_allocated(device) - held)

    def result(self) -> dict[str, Any]:
        """Figures of the counted steps."""
        counted = self.steps[WARM_UP:]
        sampling = [s.phases["sample"] for s in counted]
        return {
            "seconds": spread([s.seconds for s in counted]),
            "sampling": spread(sampling),
            "other": spread([s.seconds - t for s, t in zip(counted, sampling)]),
            "tokens": counted[-1].sampled,
            "grad_norm": self.steps[-1].grad_norm,
            "peak_bytes": max(self.peaks, default=None),
        }


def measure(workload: Workload, rounds: int, trl: str | None) -> dict[str, Any]:
    """Figures of one case. `trl` is `generate`, `paged`, or None for hone alone.

    Raises Mismatch if weights, tokens or optimizer steps of the two sides differ.
    """
    with tempfile.TemporaryDirectory(prefix="hone-versus-") as name:
        folders = [Path(name) / side for side in ("hone", "trl")]
        for folder in folders:
            folder.mkdir()
        hone = HoneSide(Bench(workload, folders[0]), [], [])
        if trl is None:
            for _ in range(WARM_UP + rounds):
                hone.turn()
            return {"hone": hone.result()}
        other = TrlSide(workload, folders[1], WARM_UP + rounds, paged=trl == "paged")
        same_weights(hone.bench, other)
        other.train(between=hone.turn)
    same_tokens(workload, hone.steps, other)
    seconds = other.seconds[WARM_UP:]
    theirs = {
        "seconds": spread(seconds),
        "sampling": spread(other.sampling[WARM_UP:]),
        "other": spread([s - t for s, t in zip(seconds, other.sampling[WARM_UP:])]),
        "tokens": sum(other.lengths[-1]),
        "grad_norm": other.grad_norm,
        "peak_bytes": max(other.peaks, default=None),
        "rows_of_a_pass": rows_of_a_pass(workload),
    }
    ratios = [a / b.seconds for a, b in zip(seconds, hone.steps[WARM_UP:])]
    return {"trl": theirs, "hone": hone.result(), "ratio": spread(ratios)}


def same_weights(bench: Bench, other: TrlSide) -> None:
    """Raise Mismatch unless both models start from equal weights."""
    mine = dict(bench.session.policy.model.named_parameters())
    theirs = other.weights()
    if mine.keys() != theirs.keys():
        raise Mismatch("the models have different parameters")
    for name, tensor in mine.items():
        if not torch.equal(tensor.detach().cpu().float(), theirs[name].detach().cpu().float()):
            raise Mismatch(f"the models differ in {name}")


def same_tokens(workload: Workload, steps: Sequence[Step], other: TrlSide) -> None:
    """Raise Mismatch unless both sides trained on the schedule's tokens, in as many optimizer steps."""
    wanted = workload.schedule()
    for number, lengths in enumerate(other.lengths):
        if lengths != wanted:
            raise Mismatch(f"step {number} of TRL has answers of other lengths than the schedule")
    taken = other.trainer.state.global_step
    if not len(other.lengths) == len(other.seconds) == len(steps) == taken:
        raise Mismatch(f"TRL took {taken} steps, hone {len(steps)}")
    if not other.grad_norm or not all(step.grad_norm for step in steps):
        raise Mismatch("a gradient is zero")


def cells(name: str, dtype: str, trl: str | None, found: dict[str, Any]) -> list[str]:
    """A row of the table."""
    hone, theirs = found["hone"], found.get("trl")

    def both(key: str) -> str:
        own = f"{hone[key]['median']:.3f}"
        return own if theirs is None else f"{theirs[key]['median']:.3f} / {own}"

    norms = f"{hone['grad_norm']:.3g}"
    if theirs is None:
        return [name, dtype, "–", f"{hone['tokens']:,}", "–", f"{hone['seconds']['median']:.3f}", "–",
                both("sampling"), both("other"), norms]  # fmt: skip
    ratio = found["ratio"]
    return [
        name, dtype, str(trl), f"{theirs['tokens']:,} / {hone['tokens']:,}", f"{theirs['seconds']['median']:.3f}",
        f"{hone['seconds']['median']:.3f}", f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})",
        both("sampling"), both("other"), f"{theirs['grad_norm']:.3g} / {norms}",
    ]  # fmt: skip


def rounds_of(dtype: str, device: torch.device, rounds: int) -> int:
    """Fewer rounds where bfloat16 has no matrix units and takes many times longer."""
    slow = dtype == "bfloat16" and device.type == "cpu" and resolve_autocast("auto", device) is None
    return max(2, rounds // 3) if slow else rounds


def main() -> None:
    """Read the command line, measure case after case, print a table and write the figures."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--cases", help="names with commas between; by default all of the device's")
    parser.add_argument("--dtypes", help="by default float32,bfloat16 on a CPU, bfloat16 on a GPU")
    parser.add_argument(
        "--compile", action="store_true", help="compile hone's decoder layers; TRL's are left as they are"
    )
    parser.add_argument("--hone-only", action="store_true", help="where TRL is not installed")
    parser.add_argument("--generate-only", action="store_true", help="without TRL's paged generation")
    given = parser.parse_args()
    device = resolve_device(given.device)
    on_cpu = device.type == "cpu"
    known = CASES["cpu" if on_cpu else "cuda"]
    chosen = given.cases.split(",") if given.cases else list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no case `{unknown[0]}` on this device; there are {', '.join(known)}")
    if not given.hone_only and (why := missing()):
        parser.error(why)
    base = {name: replace(known[name], model=given.model or known[name].model) for name in chosen}
    unspelled = [w.model for w in base.values() if not shapes.spelled(w.name)]
    if unspelled:
        parser.error(f"`{unspelled[0]}` spells no shape; both sides are built from one")
    sides = (
        [None]
        if given.hone_only
        else ["generate"]
        if on_cpu or given.generate_only
        else ["generate", "paged"]
    )
    results: list[dict[str, Any]] = []
    print(table(COLUMNS, []), flush=True)
    for dtype in (given.dtypes or ("float32,bfloat16" if on_cpu else "bfloat16")).split(","):
        for name, workload in base.items():
            workload = replace(workload, dtype=dtype, device=given.device, compile=given.compile)
            for trl in sides:
                found = measure(workload, rounds_of(dtype, device, given.rounds), trl)
                results.append({"case": name, "side": trl, "workload": asdict(workload), **found})
                print(row(cells(name, dtype, trl, found)), flush=True)
                write(given.json, {"machine": facts(device), "results": results})
    print(
        "\nTwo figures in a cell are TRL's and hone's. A ratio is that of two steps taken one after the other."
    )


if __name__ == "__main__":
    run(main)
