"""The result of a benchmark: medians of several steps, the machine's limits, and which share of them is reached."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hone.compute.cost import Decoder, rollout_flops, sampling_work, training_flops
from hone.training.bench.limits import Limits, measure
from hone.training.bench.stepping import Bench, Step
from hone.training.bench.workload import Workload

WARM_UP = 2  # steps that are not timed: caches fill, kernels are chosen


def run(workload: Workload, rounds: int, tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Measure `workload` over `rounds` steps; `tell` hears what is being done. Returns JSON values.

    `generate`, `train` and `step` have `seconds` (median, wall time with the device awaited), `fastest`, `slowest` and
    `tokens_per_s`, where a token is a sampled one throughout. `share` sets the least work that the rollouts take
    against `limits`, and says which of memory and arithmetic binds.
    """
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as folder:
        tell("building the model")
        bench = Bench(workload, Path(folder))
        device = bench.device
        tell("measuring the machine")
        limits = measure(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        for _ in range(WARM_UP):
            tell("warming up")
            bench.step()
        steps = []
        for done in range(rounds):
            tell(f"step {done + 1} of {rounds}")
            steps.append(bench.step())
        tell("taking training apart")
        parts = bench.parts_of_training()
    return _result(bench, steps, parts, limits)


def _result(bench: Bench, steps: Sequence[Step], parts: dict[str, float], limits: Limits) -> dict[str, Any]:
    workload, device = bench.workload, bench.device
    lengths = workload.schedule()
    names = [n for n in steps[0].phases if all(n in s.phases for s in steps)]
    phases = {n: statistics.median([s.phases[n] for s in steps]) for n in names}
    generate = _speed([s.phases["sample"] for s in steps], steps[0].sampled)
    train = _speed([s.phases["train"] for s in steps], steps[0].sampled)
    return {
        "model": _model(bench),
        "workload": {
            "problems": workload.problems,
            "generations": workload.generations,
            "prompt": workload.prompt,
            "completion": workload.completion,
            "lengths": workload.lengths,
            "mean_length": sum(lengths) / len(lengths),
            "rounds": len(steps),
        },
        "generate": generate,
        "train": train | {"stored_tokens": steps[0].stored, "parts": parts},
        "step": _speed([s.seconds for s in steps], steps[0].sampled) | {"phases": phases},
        "limits": limits.as_json(),
        "share": _share(bench, generate["seconds"], train["seconds"], limits),
        "memory": _memory(device),
        "notes": bench.notes,
    }


def _speed(seconds: Sequence[float], tokens: int) -> dict[str, float]:
    middle = statistics.median(seconds)
    return {
        "tokens_per_s": tokens / middle,
        "seconds": middle,
        "fastest": min(seconds),
        "slowest": max(seconds),
        "tokens": tokens,
    }


def _model(bench: Bench) -> dict[str, Any]:
    model, workload = bench.session.policy.model, bench.workload
    return {
        "name": workload.model,
        "shape": workload.name if workload.name != workload.model else None,
        "type": model.config.model_type,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(bench.dtype).removeprefix("torch."),
        "device": _device_name(bench.device),
        "engine": bench.session.engine.name,
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def _share(bench: Bench, sampling: float, training: float, limits: Limits) -> dict[str, Any]:
    """What the phases did a second, as parts of what the machine can do."""
    workload, dtype = bench.workload, bench.dtype
    decoder = Decoder.of(bench.session.policy.model.config)
    prompts, lengths = [workload.prompt] * workload.problems, workload.by_group()
    least = sampling_work(decoder, prompts, lengths, dtype.itemsize)
    by_memory, by_arithmetic = least.bytes / limits.copy, least.flops / limits.matmul(dtype)
    flops = training_flops(rollout_flops(decoder, prompts, lengths))
    return {
        "generate": {
            "bytes_per_s": least.bytes / sampling,
            "flops_per_s": least.flops / sampling,
            "of_copy": by_memory / sampling,
            "of_matmul": by_arithmetic / sampling,
            "bound": "memory" if by_memory > by_arithmetic else "arithmetic",
            "least_seconds": max(by_memory, by_arithmetic),
        },
        "train": {
            "flops_per_s": flops / training,
            "mfu": flops / training / limits.matmul(dtype),
            "least_seconds": flops / limits.matmul(dtype),
        },
    }


def _memory(device: torch.device) -> dict[str, Any]:
    """The most that was held at once: on a GPU by torch since the steps began, else by the whole process."""
    if device.type == "cuda":
        return {"peak_bytes": torch.cuda.max_memory_allocated(device), "of": "device"}
    try:
        import resource
    except ImportError:  # Windows
        return {"peak_bytes": None, "of": "process"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_bytes": peak * (1 if sys.platform == "darwin" else 1024), "of": "process"}
