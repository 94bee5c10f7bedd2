"""A synthetic run folder and comparison: plausible numbers, real mazes, and on request hostile text."""

from __future__ import annotations

import json
import random
from math import comb
from pathlib import Path
from typing import Any

import yaml

from hone.tasks.maze import Maze

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "</pre></svg><style>body{display:none}</style>{{ 7*7 }}\x1b[31mred\x1b]0;owned\x07\x00\x9b2J\u202eesrever\ud800"
    " $\\frac$"
)
KS = (1, 2, 4, 8, 16, 32, 64)


def interval(value: float, n: int) -> dict[str, float]:
    half = 1.96 * (max(value * (1 - value), 0.002) / n) ** 0.5
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def evaluation(step: int, skill: float, seed: int, problems: int = 200, samples: int = 64) -> dict[str, Any]:
    rng = random.Random(seed)
    levels = [2 + i % 12 for i in range(problems)]
    rates = []
    for level in levels:
        chance = rng.betavariate(0.5 + 5 * skill, 0.4 + 0.22 * level)
        rates.append(sum(rng.random() < chance for _ in range(samples)) / samples)
    row: dict[str, Any] = {
        "step": step, "task": "maze", "split": "test", "problems": problems, "samples": samples,
        "rollouts": step * 256, "sampled_tokens": step * 256 * 20, "rates": rates, "length": 24 - 6 * skill,
        "truncated": 0.08 * (1 - skill),
    }  # fmt: skip
    for k in KS:
        right = [round(r * samples) for r in rates]
        row[f"pass@{k}"] = interval(
            sum(1 - comb(samples - c, k) / comb(samples, k) for c in right) / problems, problems
        )
        if k <= 16:
            row[f"worst@{k}"] = interval(
                sum(comb(c, k) / comb(samples, k) for c in right) / problems, problems
            )
            row[f"maj@{k}"] = interval(min(1, sum(r > 0.5 - 0.02 * k for r in rates) / problems), problems)
    by_level = {lv: [r for r, at in zip(rates, levels) if at == lv] for lv in sorted(set(levels))}
    row["by_level"] = [
        {"level": lv, "problems": len(r), "pass@1": interval(sum(r) / len(r), len(r))}
        for lv, r in by_level.items()
    ]
    return row


def samples(last: int, hostile: bool, seed: int, task_name: str = "maze") -> list[dict[str, Any]]:
    task, rng = Maze(9), random.Random(seed)
    rows: list[dict[str, Any]] = []
    for index in range(14):
        problem = task.problem(index, "test")
        for step, skill in ((0, 0.3), (last, 0.75)):
            good = rng.random() < skill
            text = task.demonstrate(
                problem, index + step, rng.choice(["direct", "wandering"]) if good else "wrong"
            )
            rows.append({
                "step": step, "split": "test", "problem": problem.id, "task": "maze", "level": problem.level,
                "prompt": problem.prompt, "text": text, "reward": float(good), "status": "ok", "answer": text,
                "finish_reason": "stop", "tokens": len(text) + 1, "meta": {"size": 9},
            })  # fmt: skip
    for step in range(1, last, max(1, last // 8)):
        problem = task.problem(step, "train")
        text = task.demonstrate(problem, step, "wandering")
        rows.append({"step": step, "split": "train", "problem": problem.id, "task": "maze", "level": problem.level,
                     "prompt": problem.prompt, "text": text, "reward": 1.0, "status": "ok", "answer": text,
                     "finish_reason": "stop", "tokens": len(text) + 1, "meta": {}})  # fmt: skip
    if task_name != "maze":
        for row in rows:
            good = row["reward"] == 1
            question = {"role": "user", "content": "Ann has 3 boxes of 12 pens. How many?"}
            said = 36 if good else 35
            text = f"3 boxes of 12 pens are 3 * 12 = {said}.\n#### {said}"
            row |= {"task": task_name, "prompt": [question], "text": text}
        rows[1] |= {"reward": 0.4}
        rows[4] |= {"reward": None, "status": "timeout"}
    if hostile:
        for row in rows[:6]:
            row["text"] = HOSTILE + "A" * 100_000
        rows[2] |= {
            "task": HOSTILE,
            "problem": HOSTILE,
            "status": HOSTILE,
            "reward": None,
            "prompt": HOSTILE * 50,
        }
        rows[3] |= {
            "task": HOSTILE,
            "problem": HOSTILE,
            "answer": HOSTILE,
            "finish_reason": "length",
            "prompt": HOSTILE,
        }
    return rows


def write_run(
    folder: Path, steps: int = 60, gain: float = 0.5, seed: int = 0, method: str = "rloo", hostile: bool = False,
    eval_every: int = 15, task: str = "maze",
) -> Path:  # fmt: skip
    """Write a run folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, dice = random.Random(seed), random.Random(seed)
    skill = lambda step: 0.12 + gain * (1 - 2.7 ** (-3 * step / steps))  # noqa: E731
    rows, tokens, time = [], 0, 0.0
    for step in range(1, steps + 1):
        s = skill(step - 1)
        length = 24 - 6 * s + rng.gauss(0, 0.4)
        tokens += round(256 * length)
        rate = min(1.0, max(0.0, 0.28 + 0.75 * s - 0.09 + rng.gauss(0, 0.06)))
        sampled, trained = 1.4 + rng.random() * 0.3, 2.2 + rng.random() * 0.2
        time += sampled + trained + 0.3
        groups = [sum(dice.random() < rate for _ in range(16)) for _ in range(16)]
        rows.append({
            "groups/correct": groups, "groups/judged": [16] * 16, "flops": 4 * 10**6 * tokens,
            "flops/sampling": 10**6 * tokens, "flops/scoring": 0, "flops/training": 3 * 10**6 * tokens,
            "bytes/sampling": 2000 * tokens, "bytes/training": 5000 * tokens,
            "step": step, "rollouts": 256 * step, "sampled_tokens": tokens, "prompt_tokens": 57 * 16 * step,
            "trained_tokens": tokens, "reward/mean": rate, "reward/std": (rate * (1 - rate)) ** 0.5, "pass_rate": rate,
            "length/mean": length, "length/max": 40 + rng.randrange(8), "truncated": max(0, 0.05 - 0.06 * s),
            "entropy": 0.5 - 0.35 * s + rng.gauss(0, 0.01), "mismatch/k3": 2e-8 * rng.random() + 1e-9,
            "mismatch/max": 1e-4 * rng.random() + 1e-5, "clip_share": 0.01 * rng.random(), "kl/k1": 1e-3 * rng.random(),
            "kl/k3": 8e-4 * rng.random(), "groups": 16, "groups/all_zero": max(0, 0.35 - s * 0.5),
            "groups/all_one": s * 0.3, "groups/no_signal": max(0, 0.35 - s * 0.5) + s * 0.3, "status/ok": 255,
            "status/error": int(step == 7), "status/timeout": int(step != 7 and step % 30 == 0),
            "status/not_applicable": 0, "grad_norm": 0.8 + rng.random() * 0.3, "learning_rate": 1e-4 * min(1, step / 5),
            "loss/policy": rng.gauss(0, 0.02), "loss/entropy": -0.001 * rng.random(), "time/sample": sampled,
            "time/reward": 0.08, "time/train": trained, "time/step": sampled + trained + 0.3,
        })  # fmt: skip
    evals = [
        evaluation(s, skill(s), seed + 3) for s in sorted({0, *range(eval_every, steps, eval_every), steps})
    ]
    word = HOSTILE.replace("\ud800", "") if hostile else ""
    recipe = {
        "task": task, "model": "sprout", "method": method + word, "num_generations": 16, "problems_per_step": 16,
        "steps": steps, "learning_rate": 1e-4, "temperature": 1.0, "max_completion_length": 48, "seed": seed,
        "credit": {"name": method, "unit": "rollout", "group_by": ["group"]}, "objective": {"name": "policy_gradient"},
        "reduction": "token_mean", "eval": {"every": eval_every, "problems": 200, "samples": 64},
    }  # fmt: skip
    if hostile:
        recipe[word] = word
        evals[0]["task"] = evals[-1]["task"] = word
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    summary = {
        "formula": "∇J = E[ Σ_t  A · ∇log π(a_t | s_t) ],   A_i = r_i − mean(r_j, j ≠ i)\nreduction: token_mean" + word,
        "hone": "0.1.0", "seconds": time, "sampled_tokens": tokens, "rollouts": 256 * steps, "finished": True,
        "flops/eval": 7 * 10**9, "price": 0.25, "prompt_tokens": 912 * steps, "shared_prompt_tokens": 13680 * steps,
        "seconds_by_phase": {"sample": 40.5, "train": 65.0, "step": 110.0, "eval": 12.0}, "redone_rollouts": 512,
        "redone_seconds": 6.5, "lost_tokens": 0,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    for file, lines in (("metrics", rows), ("eval", evals), ("samples", samples(steps, hostile, seed, task))):
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_comparison(
    folder: Path, methods: tuple[str, ...] = ("rloo", "grpo", "maxrl"), seeds: int = 4
) -> Path:
    """Write compare.json and its arms and return the folder. maxrl gains most; rloo and grpo are alike."""
    gains = {"rloo": 0.42, "grpo": 0.425, "maxrl": 0.5}
    metrics = ["pass@1", "pass@8"]
    runs: list[dict[str, Any]] = []
    for seed in range(seeds):
        for method in methods:
            run = write_run(
                folder / f"{method}-{seed}", 20, gains.get(method, 0.4), seed, method, eval_every=5
            )
            final = json.loads((run / "eval.jsonl").read_text().splitlines()[-1])
            noise = 0.004 * random.Random(seed).random()
            runs.append({"method": method, "seed": seed, "folder": run.name, "sampled_tokens": 100_000 + seed,
                         "rollouts": 5120, "seconds": 61.5,
                         "final": {m: final[m]["value"] + noise for m in metrics}})  # fmt: skip
    table: list[dict[str, Any]] = []
    paired: list[dict[str, Any]] = []
    for m in metrics:
        for a in methods:
            values = [r["final"][m] for r in runs if r["method"] == a]
            mean = sum(values) / len(values)
            table.append(
                {"method": a, "metric": m, "mean": mean, "low": mean - 0.02, "high": mean + 0.02, "n": seeds}
            )
        for a, b in (("maxrl", "rloo"), ("maxrl", "grpo"), ("rloo", "grpo")):
            if a in methods and b in methods:
                d = [x["final"][m] - y["final"][m] for x in runs for y in runs
                     if x["method"] == a and y["method"] == b and x["seed"] == y["seed"]]  # fmt: skip
                mean = sum(d) / len(d)
                paired.append({"a": a, "b": b, "metric": m, "mean": mean, "low": mean - 0.012, "high": mean + 0.012,
                               "n": seeds, "wins": sum(x > 0 for x in d)})  # fmt: skip
    content = {
        "recipe": "demo", "methods": list(methods), "seeds": list(range(seeds)), "metrics": metrics, "runs": runs,
        "budget": {"unit": "sampled_tokens", "value": 100_000}, "before": {m: interval(0.3, 200) for m in metrics},
        "table": table, "paired": paired,
    }  # fmt: skip
    (folder / "compare.json").write_text(json.dumps(content))
    return folder
