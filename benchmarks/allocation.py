"""Curricula that allocate rollouts against `uniform`, on the demo: at equal sampled tokens, paired over seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hone.core.recipe import Recipe
from hone.evals import t_interval
from hone.recipes.load import resolve
from hone.training.compare import compare_methods
from hone.training.folder import RunFolder

BASELINE = "uniform"
# `problem_sum` is `sequence_sum` for groups of one size, so that `uniform` is what it always is.
POLICIES: dict[str, dict[str, dict[str, Any]]] = {
    "maxrl": {
        BASELINE: {},
        "dynamic_sampling": {"curriculum": "dynamic_sampling"},
        "early_stop": {"curriculum": "early_stop"},
        "variance_optimal": {"curriculum": "variance_optimal"},
        "maxrl_optimal": {"curriculum": "maxrl_optimal"},
    },
    "rloo": {
        BASELINE: {},
        "dynamic_sampling": {"curriculum": "dynamic_sampling"},
        "early_stop": {"curriculum": "early_stop", "credit": "stopped_rloo"},
        "variance_optimal": {"curriculum": "variance_optimal"},
    },
}
METRICS = ("signal per 1000 tokens", "groups with signal", "pass@1", "steps")


def recipes(method: str, tokens: int, keys: Sequence[str]) -> dict[str, Recipe]:
    """The recipe of every policy: the demo under `method`, for `tokens` sampled tokens, with `KEY=VALUE` words."""
    common: dict[str, Any] = {"method": method, "reduction": "problem_sum", "max_sampled_tokens": tokens}
    common |= {"eval.k": [1], **dict(word.split("=", 1) for word in keys)}
    return {name: resolve("demo", {**common, **choice})[0] for name, choice in POLICIES[method].items()}


def signal_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What a whole run's tokens bought: Σ over its groups of K (N − K) / N for each 1000 sampled tokens."""
    groups = [(k, n) for line in lines for k, n in zip(line["groups/correct"], line["groups/judged"]) if n]
    spent = lines[-1]["sampled_tokens"]
    return {
        "signal per 1000 tokens": 1000 * sum(k * (n - k) / n for k, n in groups) / spent,
        "groups with signal": sum(0 < k < n for k, n in groups) / len(groups),
        "steps": len(lines),
    }


def figures(content: Mapping[str, Any], out: Path) -> list[dict[str, Any]]:
    """A row for each finished run."""
    return [
        {"policy": run["method"], "seed": run["seed"], "pass@1": run["final"]["pass@1"]}
        | signal_of(RunFolder(out / run["folder"]).read("metrics.jsonl"))
        for run in content["runs"]
    ]


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For every policy and metric the mean, and the paired difference from the baseline with its 95% limits."""
    out = []
    of = {(row["policy"], row["seed"]): row for row in rows}
    for policy in dict.fromkeys(row["policy"] for row in rows):
        mine = [row for row in rows if row["policy"] == policy]
        paired = [(row, of[BASELINE, row["seed"]]) for row in mine if (BASELINE, row["seed"]) in of]
        for metric in METRICS:
            entry = {"policy": policy, "metric": metric, "mean": sum(r[metric] for r in mine) / len(mine)}
            if policy != BASELINE and len(paired) > 1:
                found = t_interval([a[metric] - b[metric] for a, b in paired])
                entry |= {"less_baseline": found.value, "low": found.low, "high": found.high}
            out.append(entry)
    return out


def main() -> None:
    """Run or go on with the comparison in `--out`; print the table and write allocation.json there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="changes of the demo recipe")
    parser.add_argument("--method", choices=POLICIES, default="maxrl")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=400_000, help="sampled tokens of each run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    content = compare_methods(
        recipes(given.method, given.tokens, given.keys),
        given.seeds,
        given.out,
        name=f"demo, {given.method}",
        workers=given.workers,
        baseline=BASELINE,
        tell=lambda text: print(text, flush=True),
    )
    rows = figures(content, given.out)
    found = {"method": given.method, "tokens": given.tokens, "runs": rows, "summary": summary(rows)}
    (given.out / "allocation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{'policy':18}{'metric':26}{'mean':>10}{'− uniform':>12}   95% limits")
    for row in found["summary"]:
        gap = ""
        if "low" in row:
            gap = f"{row['less_baseline']:>+12.4f}   {row['low']:+.4f} to {row['high']:+.4f}"
        print(f"{row['policy']:18}{row['metric']:26}{row['mean']:>10.4f}{gap}")


if __name__ == "__main__":
    main()
