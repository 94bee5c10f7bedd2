"""`hone bench`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from hone.cli import terminal


def bench(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_SHAPE",
            help="tiny, qwen3-0.6b, qwen2.5-0.5b, qwen2.5-1.5b, a shape, a model folder, or a name.",
        ),
    ] = None,
    problems: Annotated[int | None, typer.Option(help="Prompts of a step.")] = None,
    generations: Annotated[int | None, typer.Option(help="Answers to each.")] = None,
    prompt: Annotated[int | None, typer.Option(help="Tokens of a prompt.")] = None,
    completion: Annotated[int | None, typer.Option(help="Tokens of the longest answer.")] = None,
    lengths: Annotated[
        str, typer.Option(help="equal, or realistic: log-normal, a quarter of the longest on average.")
    ] = "equal",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    max_tokens: Annotated[
        int | None, typer.Option(help="Tokens of one forward pass of training (16384 unless said).")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the decoder layers for training, which takes minutes.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Steps that are timed.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure generation, training and whole steps, against this machine's own limits.

    Without options: a small model on a CPU, the shape of Qwen3-0.6B on a GPU, in about a minute. The weights of presets
    and shapes are random, which costs the same; every answer has a length that is set beforehand.

    Examples:

    - `hone bench`

    - `hone bench --lengths realistic --completion 512`

    - `hone bench --model qwen3:hidden=512,layers=8,heads=8,kv_heads=4,head_dim=64,ffn=1536,vocab=1000 --json`
    """
    from transformers.utils import logging as transformers_logging

    from hone.training.bench.result import run
    from hone.training.bench.workload import default

    transformers_logging.disable_progress_bar()
    given: dict[str, Any] = {
        "model": model, "problems": problems, "generations": generations, "prompt": prompt, "completion": completion,
        "lengths": lengths, "dtype": dtype, "compile": compiled or None,
        "max_tokens": max_tokens,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    workload = dataclasses.replace(default(device), **chosen)
    if as_json:
        print(json.dumps(run(workload, rounds)))
        return
    with terminal.console(stderr=True).status("") as status:
        result = run(workload, rounds, lambda text: status.update(terminal.safe(text)))
    show(result)


def show(result: Mapping[str, Any]) -> None:
    """Print a result as two tables and a sentence for each phase."""
    model, work = result["model"], result["workload"]
    terminal.say(
        f"{model['name']}: {_short(model['parameters'])} parameters, {model['dtype']}, {model['device']}",
        "bold",
    )
    _explain(
        f"{work['problems']:,} prompts of {work['prompt']:,} tokens, {work['generations']:,} answers each, "
        f"{work['mean_length']:.0f} tokens on average ({work['lengths']} lengths, at most {work['completion']:,})"
    )
    for text in result["notes"]:
        terminal.say(terminal.paragraph(f"note: {text}"), "yellow")
    table = terminal.figures("", "", "seconds", "fastest", "slowest", "tokens/s", "of the step")
    whole = result["step"]["seconds"]
    for name in ("generate", "train", "step"):
        row = result[name]
        seconds = (f"{row[key]:.3f}" for key in ("seconds", "fastest", "slowest"))
        table.add_row(name, *seconds, f"{row['tokens_per_s']:,.0f}", f"{row['seconds'] / whole:.0%}")
    terminal.show_figures(table)
    limits = result["limits"]
    _explain(
        f"this machine: {_short(limits['matmul_float32_flops_per_s'])}FLOP/s in float32, "
        f"{_short(limits['matmul_bfloat16_flops_per_s'])}FLOP/s in bfloat16, "
        f"{_short(limits['copy_bytes_per_s'])}B/s copied"
    )
    for text in sentences(result):
        _explain(text)


def _explain(text: str) -> None:
    terminal.say(terminal.paragraph(text))


def sentences(result: Mapping[str, Any]) -> list[str]:
    """What bounds each phase, in words."""
    share, parts = result["share"], result["train"]["parts"]
    generate, train = share["generate"], share["train"]
    trained = sum(parts.values())
    spent = ", ".join(f"{seconds / trained:.0%} {name}" for name, seconds in parts.items())
    phases = result["step"]["phases"]
    other = {k: v for k, v in phases.items() if k not in ("sample", "train")}
    peak, of = result["memory"]["peak_bytes"], result["memory"]["of"]
    found = [
        _sampling(generate, result["generate"]["seconds"]),
        f"train: {_short(train['flops_per_s'])}FLOP/s, {train['mfu']:.0%} of what matrix products reach here in "
        f"{result['model']['dtype']}: {spent}.",
        f"step: {' and '.join(other)} take {sum(other.values()) / result['step']['seconds']:.1%} of it."
        if other
        else "",
        f"memory: at most {_short(peak)}B, of the {of}." if peak else "",
    ]
    return [text for text in found if text]


def _sampling(share: Mapping[str, Any], seconds: float) -> str:
    """Which limit sampling is nearer to, and how near."""
    least = share["least_seconds"]
    work = {
        "memory": "reading weights and caches at the speed of a copy",
        "arithmetic": "the matrix products at full speed",
    }[share["bound"]]
    found = f"{work} would take {least:.3f} s of {seconds:.3f} s, {least / seconds:.0%}"
    if least > seconds:
        return f"generate: faster than main memory: {found}; the processor's caches hold a part."
    if least < 0.5 * seconds:
        return f"generate: bound by overhead (launches, Python, small products): {found}."
    return f"generate: bound by {share['bound']}: {found}."


def _short(number: float) -> str:
    """Three digits and a prefix: 1.23 G."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {prefix}"
    return f"{number:.3g} "
