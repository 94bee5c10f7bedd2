"""What guards read: the numbers of a step's rollouts, or of an update before its optimizer step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Readings:
    """Numbers of one look. None is what this look does not have, or what there was nothing to average for.

    Rollouts: `entropy` is the mean surprisal of the sampled tokens in nats, an estimate of the policy's entropy that
    costs no forward pass; `repetition`, `constant` and `truncated` are shares in [0, 1] of completions, groups and
    completions; `length` is in tokens; `length_reward` is the correlation of the two within groups; `mode_share`,
    `information` (nats) and `majority` are what votes tell of a step's answers (see `hone.core.voting.spread`).

    Updates: `finite` says whether loss, logprobs and gradient are; `grad_norm` is before clipping; `mismatch_k3` and
    `mismatch_max` are nats between the engine's and the trainer's logprobs of the same tokens.
    """

    entropy: float | None = None
    repetition: float | None = None
    constant: float | None = None
    truncated: float | None = None
    length: float | None = None
    reward: float | None = None
    length_reward: float | None = None
    mode_share: float | None = None
    information: float | None = None
    majority: float | None = None

    finite: bool | None = None
    grad_norm: float | None = None
    mismatch_k3: float | None = None
    mismatch_max: float | None = None

    def known(self) -> dict[str, float | bool]:
        """The numbers that this look has, by name."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


@dataclass(frozen=True)
class Finding:
    """A guard's threshold that a look has passed: which guard, and a sentence with the number and the limit."""

    guard: str
    says: str


@dataclass
class Past:
    """What guards remember of a run: as little as their thresholds need, as JSON values in every checkpoint.

    `streaks` counts the looks in a row that found something, by guard; `skips` the updates in a row that were skipped.
    """

    grad_norms: list[float] = field(default_factory=list)  # of the last updates that were made
    highest_grad_norm: float = 0.0  # of all of them
    entropy: float | None = None  # of the run's first step
    lengths: list[list[float | None]] = field(default_factory=list)  # of the last steps: see `LENGTHS`
    streaks: dict[str, int] = field(default_factory=dict)
    skips: int = 0
    information: list[float] = field(default_factory=list)  # of the last steps
    most_information: float | None = None  # the highest mean over a window of steps
    majority: float | None = None  # of the last step
    labelled: list[list[float]] = field(
        default_factory=list
    )  # of each evaluation: pass rate, majority before it

    def state(self) -> dict[str, Any]:
        """JSON values, sharing nothing with what goes on changing."""
        return {
            "grad_norms": list(self.grad_norms),
            "highest_grad_norm": self.highest_grad_norm,
            "entropy": self.entropy,
            "lengths": [list(row) for row in self.lengths],
            "streaks": dict(self.streaks),
            "skips": self.skips,
            "information": list(self.information),
            "most_information": self.most_information,
            "majority": self.majority,
            "labelled": [list(row) for row in self.labelled],
        }


LENGTHS = ("length", "reward", "truncated", "length_reward")  # a row of `Past.lengths`
