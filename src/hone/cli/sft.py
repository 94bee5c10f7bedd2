"""`hone sft`."""

from __future__ import annotations

from hone.cli.train import DryRun, Out, Resume, WithReport, Words


def sft(
    words: Words = None,
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    report: WithReport = True,
) -> None:
    """Warm a model up on demonstrations: the same loop, supervised.

    The method must learn from demonstrations: a solver's, or the oracle of each problem. Without a recipe it makes
    `sprout`, the embedded model, anew.

    Examples:

    - `hone sft sprout --out runs/sprout`

    - `hone sft my_recipe.yaml method=sft task=gsm8k model=path/or/name`

    - `hone sft sprout steps=10 --dry-run`
    """
    from hone.cli import training
    from hone.cli.arguments import split

    source, overrides = split(words)
    name, phases = training.prepare(source, overrides, "sprout", out, resume)
    training.want_demonstrations(phases)
    training.go(name, phases, out, resume, dry_run, report)
