"""`hone eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from hone.cli import terminal


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL_OR_RUN", help="A run folder, a model folder, or a name.")
    ],
    task: Annotated[str, typer.Option("--task", help="What to solve; `hone tasks` lists what there is.")],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="TASK.OPTION=VALUE", help="Options of the task.")
    ] = None,
    k: Annotated[str, typer.Option("--k", help="The k of pass@k, worst@k and maj@k.")] = "1,8,64",
    problems: Annotated[int, typer.Option(min=1, help="Held-out problems.")] = 100,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples a problem; by default the largest k.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 1.0,
    top_p: Annotated[
        float, typer.Option("--top-p", help="Keep the likeliest tokens up to this share.")
    ] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="Keep this many tokens; 0 keeps all.")] = 0,
    min_p: Annotated[
        float, typer.Option("--min-p", help="Keep tokens above this share of the likeliest.")
    ] = 0.0,
    max_completion_length: Annotated[
        int | None,
        typer.Option("--max-completion-length", min=1, help="Sampled tokens; by default the run's, or 64."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling noise.")] = 0,
    engine: Annotated[str, typer.Option(help="auto, native or transformers.")] = "auto",
    reward: Annotated[
        str | None, typer.Option(help="A verifier or module.py:function in place of the task's own.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code that the model comes with.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, as a line of eval.jsonl.")
    ] = False,
) -> None:
    """Measure pass@k, worst@k and maj@k on held-out problems, with 95% intervals.

    Two models measured with the same seed meet the same problems and the same noise, so they can be compared in pairs.

    Examples:

    - `hone eval sprout --task maze task.sizes=9`

    - `hone eval runs/demo --task countdown --k 1,16 --problems 200`

    - `hone eval path/to/model --task jsonl:my.jsonl --temperature 0 --k 1 --json`
    """
    from hone.api import evaluate as measure
    from hone.cli.arguments import integers, named
    from hone.core.errors import RecipeError

    if engine not in ("auto", "native", "transformers"):
        raise RecipeError(f"`--engine {engine}` does not exist.", "Use auto, native or transformers.")
    line = measure(
        model, named(task, options), k=integers(k, "--k"), problems=problems, samples=samples, temperature=temperature,
        top_p=top_p, top_k=top_k, min_p=min_p, max_completion_length=max_completion_length, seed=seed, engine=engine,
        reward=reward, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    if as_json:
        print(json.dumps(line))  # ASCII: names of files cannot reach the terminal raw
    else:
        show(line)


def show(line: Mapping[str, Any]) -> None:
    """Print an evaluation as tables."""
    from hone.cli.summary import share
    from hone.evals import Interval

    def cell(value: Mapping[str, float] | None) -> str:
        return "–" if value is None else share(Interval(value["value"], value["low"], value["high"]))

    terminal.say(
        f"{line['model']} on {line['problems']:,} held-out problems of {line['task']}, "
        f"{line['samples']:,} samples each",
        "bold",
    )
    table = terminal.figures("", "k", "pass@k", "worst@k", "maj@k")
    for name in line:
        if name.startswith("pass@"):
            k = name.removeprefix("pass@")
            table.add_row(k, *(cell(line.get(f"{kind}@{k}")) for kind in ("pass", "worst", "maj")))
    terminal.show_figures(table)
    levels = terminal.figures("", "level", "problems", "pass@1")
    for row in line["by_level"]:
        levels.add_row(f"{row['level']:.3g}", f"{row['problems']:,}", cell(row["pass@1"]))
    if len(line["by_level"]) > 1:
        terminal.show_figures(levels)
    terminal.say(
        f"mean length {line['length']:.1f} tokens, {100 * line['truncated']:.1f}% cut off, 95% intervals"
    )
    for name, value in line.items():
        if name == "not_ok":
            terminal.say(f"note: {value} answers could not be judged and are left out", "yellow")
        elif name.startswith("left_out@"):
            terminal.say(f"note: {value} problems have too few judged answers for k = {name[9:]}", "yellow")
        elif name == "note":
            terminal.say(f"note: {value}", "yellow")
