"""The recipe's `guards`: a block for each guard, with its thresholds and what it does when one is passed.

The defaults are meant to be silent on a healthy run. Where no source is named, they were set well beyond what the
shipped recipes and the small models of the tests reach; each block says what that was.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hone.core.settings import Settings

Action = Literal["warn", "skip", "stop", "ignore"]  # `off` would be a truth value in YAML


class Guard(Settings):
    """What every guard has. It looks at each step's rollouts, or at each update before the optimizer's step."""

    action: Action = Field(
        "warn",
        description="warn; skip: no optimizer step; stop: end the run, saved before the step; ignore: do not look",
    )
    patience: int = Field(1, ge=1, description="looks in a row that must find it before it acts")


class NanGuard(Guard):
    """A loss, logprob, entropy or gradient norm of an update that is not finite.

    One such step makes every weight NaN, so it is never taken; a single one may be an overflow that the next batch
    does not have, so the run stops only after `max_skips` of them.
    """

    action: Action = "skip"

    @field_validator("action")
    @classmethod
    def _never_made(cls, value: Action) -> Action:
        if value not in ("skip", "stop"):
            raise ValueError("such an update is never made, so it must be skip or stop")
        return value


class GradientGuard(Guard):
    """A gradient norm before clipping far above those of the run.

    It must pass `max_grad_norm` as well: below it nothing is clipped, and a small norm after smaller ones is no
    explosion. The ratio is a choice, far above what batches of one run differ by. Clipping bounds the step but not
    its direction, which one batch then decides; skipping such a step is what large runs do (PaLM, arXiv 2204.02311,
    section 5.1, skips batches around a spike).
    """

    ratio: float = Field(30.0, gt=1, description="times the median norm of the run's last 50 updates")
    norm: float = Field(1e6, gt=0, description="norm that is too large whatever the run's other norms are")
    action: Action = "skip"


class MismatchGuard(Guard):
    """Engine and trainer give the same tokens of the same weights other logprobs.

    In float32 both agree to 1e-5 nats; in bfloat16 the tests hold k3 below 1e-3 nats a token. Weights that are one
    update old differ by what an update does, which `one_step_off` allows.
    """

    k3: float = Field(
        0.1, gt=0, description="nats a token: the k3 estimate of their KL divergence, in the mean"
    )
    gap: float = Field(10.0, gt=0, description="nats: the largest difference of a token")


class EntropyLowGuard(Guard):
    """The policy hardly chooses any more: the mean surprisal of sampled tokens has fallen to almost nothing.

    A task that is solved ends so as well, which is why the default only warns.
    """

    nats: float = Field(0.005, ge=0, description="mean surprisal of the sampled tokens")
    patience: int = Field(10, ge=1, description="steps in a row")


class EntropyHighGuard(Guard):
    """The policy dissolves into noise: surprisal far above the run's first step and near that of random tokens.

    A fresh model starts there, so both limits must be passed. The shipped model starts at 0.15 of the logarithm.
    """

    growth: float = Field(3.0, gt=1, description="times that of the run's first step")
    share: float = Field(0.3, gt=0, le=1, description="of the logarithm of the vocabulary's size")
    patience: int = Field(3, ge=1, description="steps in a row")


class RepetitionGuard(Guard):
    """Completions that end in a loop: their last `tail` tokens are one n-gram four times or more."""

    share: float = Field(0.2, gt=0, le=1, description="of a step's completions")
    tail: int = Field(
        64, ge=4, description="tokens at the end that must repeat; shorter completions never do"
    )
    patience: int = Field(3, ge=1, description="steps in a row")


class ConstantRewardsGuard(Guard):
    """Nothing to learn from: every answer to a problem gets the same reward, step after step.

    A group is one that has two verdicts or more; where no group has, all rewards of the step are taken together.
    """

    share: float = Field(1.0, gt=0, le=1, description="of the groups")
    patience: int = Field(20, ge=1, description="steps in a row")


class LengthGuard(Guard):
    """Signs that length is learnt instead of the task, over two windows of steps, the earlier and the later.

    Three signs: answers grow while their reward does not; more of them are cut off while their reward does not grow;
    within groups the reward is the length, in the mean over the later window.
    """

    window: int = Field(25, ge=2, description="steps of each window")
    growth: float = Field(1.5, gt=1, description="mean length, later over earlier")
    truncated: float = Field(0.3, gt=0, le=1, description="rise of the share that the length limit cut")
    correlation: float = Field(0.9, gt=0, le=1, description="of reward and length within groups")


class CollapseGuard(Guard):
    """Self-training that leaves its prompts: answers become the same for all of them, whatever is asked.

    Three signs, of runs whose rewards are made of votes. One answer has more than `mode_share` of all prompts' answers,
    which a task with few possible answers may reach by itself. The information that answers carry of their prompts has
    fallen, in the mean over `window` steps, below `information` of its highest such mean. Majorities have grown by
    `rise` while the last `evaluations` on labelled problems were no better than one before. The limits of the first and
    the last sign are choices; that of the second was set on the toy world of `studies/srt_bias.py`.
    """

    mode_share: float = Field(0.5, gt=0, le=1, description="of all prompts' answers, that one answer has")
    information: float = Field(0.9, gt=0, le=1, description="of its highest: I(prompt; answer), in nats")
    window: int = Field(20, ge=1, description="steps whose mean information is looked at")
    evaluations: int = Field(3, ge=1, description="evaluations in a row without a better pass rate")
    rise: float = Field(0.05, gt=0, le=1, description="of the mean majority, since the best evaluation")


class Guards(Settings):
    """What is looked at before an optimizer step, and what is done about it."""

    nan: NanGuard = NanGuard()  # type: ignore[call-arg]
    gradient: GradientGuard = GradientGuard()  # type: ignore[call-arg]
    mismatch: MismatchGuard = MismatchGuard()  # type: ignore[call-arg]
    entropy_low: EntropyLowGuard = EntropyLowGuard()  # type: ignore[call-arg]
    entropy_high: EntropyHighGuard = EntropyHighGuard()  # type: ignore[call-arg]
    repetition: RepetitionGuard = RepetitionGuard()  # type: ignore[call-arg]
    constant_rewards: ConstantRewardsGuard = ConstantRewardsGuard()  # type: ignore[call-arg]
    length: LengthGuard = LengthGuard()  # type: ignore[call-arg]
    collapse: CollapseGuard = CollapseGuard()  # type: ignore[call-arg]
    max_skips: int = Field(5, ge=1, description="skipped updates in a row that stop the run")
    bundles: int = Field(
        5, ge=0, description="bundles a run may write; each holds the model and its optimizer"
    )
