"""Errors a user can act on: what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence


class HoneError(Exception):
    """Base of every error that hone raises on purpose. The command line prints it as one paragraph.

    `what` names the thing that is wrong (file, key, line); `mend` says what to do about it; `lines` are a list that
    stands below the paragraph, where many things are wrong at once.
    """

    def __init__(self, what: str, mend: str = "", lines: Sequence[str] = ()) -> None:
        self.what = what
        self.mend = mend
        self.lines = tuple(lines)
        super().__init__("\n".join([f"{what} {mend}".strip(), *self.lines]))


class RecipeError(HoneError):
    """A recipe key, value or combination that has no meaning."""


class DataError(HoneError):
    """A file, line, column or split that cannot be used."""


class TaskError(HoneError):
    """A task that cannot be built or asked for what it does not have."""


class RewardError(HoneError):
    """A reward that does not keep its contract (length, type, finiteness) or fails too often."""


class PolicyError(HoneError):
    """A model, tokenizer or weight file that cannot be used."""


class EngineError(HoneError):
    """A request the sampler cannot serve, or weights that did not reach it."""


class CheckpointError(HoneError):
    """A checkpoint or run folder that cannot be read, or does not belong to this recipe."""


class GuardError(HoneError):
    """A run that a guard has stopped, or a bundle that cannot be looked at again."""


def quoted(value: object, most: int = 100) -> str:
    """`repr(value)`, cut in its middle where it has more than `most` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of so many digits
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 4 :]}"


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """'Did you mean ...?' for an unknown `name`, or the list of what exists."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f"Known: {', '.join(sorted(known))}."
