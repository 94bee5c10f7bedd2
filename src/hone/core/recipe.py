"""The recipe: task + model + method + compute + evaluation + seed, as a strict schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_serializer,
    model_validator,
)

from hone.core.guards import Guards
from hone.core.options import TRUTH
from hone.core.settings import Settings

Reduction = Literal[
    "token_mean", "sequence_mean", "sequence_sum", "problem_mean", "problem_sum", "problem_token_mean"
]

# Far beyond any run that was published. Without them a slip of the keyboard fills the memory before anything is said.
MOST_PROBLEMS = MOST_SAMPLES = 1_000_000
MOST_TOKENS = 1 << 20  # of one answer
MOST_STORED = 1 << 31  # tokens of one forward pass
MOST_STEPS = 1_000_000_000
MOST_PASSES = 10_000  # over one batch
LARGEST_SEED = (1 << 63) - 1


def phase_name(number: int) -> str:
    """What a later phase calls the model that phase `number` makes."""
    return f"phase-{number}"


def phase_number(model: str) -> int | None:
    """The phase whose model is meant, or None."""
    head, _, number = model.partition("-")
    return int(number) if head == "phase" and number.isascii() and number.isdigit() else None


class Choice(BaseModel):
    """A named piece with its options: `maze`, or `{name: maze, sizes: 9}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, Mapping) and isinstance(value.get("name"), bool)):
            raise ValueError(TRUTH)
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "options" not in value and isinstance(value.get("name"), str):
            return {"name": value["name"], "options": {k: v for k, v in value.items() if k != "name"}}
        return value

    @model_serializer
    def _to_short(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}


class EvalSettings(Settings):
    """When and how the policy is evaluated on the held-out split."""

    every: int = Field(
        0, ge=0, le=MOST_STEPS, description="evaluate after every so many steps (0: only before and after)"
    )
    before: bool = Field(True, description="evaluate before the first step")
    problems: int = Field(100, ge=1, le=MOST_PROBLEMS, description="held-out problems")
    samples: int = Field(
        16, ge=1, le=MOST_SAMPLES, description="samples a problem, before and after training"
    )
    samples_during: int = Field(
        8, ge=1, le=MOST_SAMPLES, description="samples a problem in evaluations during training"
    )
    k: tuple[Annotated[int, Field(ge=1, le=MOST_SAMPLES)], ...] = Field(
        (1, 4, 16), min_length=1, description="the k of pass@k, worst@k and maj@k"
    )
    temperature: float | None = Field(None, ge=0, description="None: the training temperature")
    task: Choice | None = Field(None, description="another task to evaluate on; None: the training task")
    keep_samples: int = Field(
        64, ge=0, description="completions a held-out evaluation writes to samples.jsonl"
    )


class CheckpointSettings(Settings):
    """When checkpoints are written and how many are kept."""

    every: int = Field(0, ge=0, description="write after every so many steps (0: only at the end)")
    keep_last: int = Field(2, ge=1, description="how many of the newest stay on disk")
    keep_every: int = Field(0, ge=0, description="those of every so many steps stay for good (0: none)")
    best: str | None = Field(
        None,
        description="the step with the highest `pass@1`, or lowest `-length`, of eval.jsonl has one that stays",
    )
    patience: int = Field(
        0,
        ge=0,
        description="end the run after so many evaluations in a row without a better `best` (0: never)",
    )


class ModelSettings(Settings):
    """A frozen model that plays a role beside the policy."""

    model: str = Field(description="a name or a folder, as `model` takes; `phase-1` is what that phase made")


class Recipe(Settings):
    """What a run is. Stage keys left None are filled by the method's card."""

    task: Choice
    reward: str | Choice | None = Field(
        None,
        description="a verifier's name, or module.py:function, in place of the task's own, or with options",
    )
    model: str = Field("sprout", description="sprout, micro, a path, or a Hugging Face name")
    trust_remote_code: bool = Field(False, description="run the code that a model comes with")
    method: str = Field("rloo", description="a card's id: the stages it sets are defaults")

    num_generations: int = Field(16, ge=1, le=MOST_SAMPLES, description="rollouts of one problem (G)")
    problems_per_step: int = Field(8, ge=1, le=MOST_PROBLEMS, description="distinct problems of one step (P)")
    steps: int = Field(100, ge=0, le=MOST_STEPS, description="sampling steps (M)")
    max_sampled_tokens: int | None = Field(
        None, ge=1, description="stop when this many tokens have been sampled"
    )
    max_completion_length: int = Field(
        64, ge=1, le=MOST_TOKENS, description="sampled tokens a rollout may have"
    )
    temperature: float = Field(1.0, ge=1e-3, le=1e3)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    curriculum: Choice | None = None
    episode: Choice | None = None
    rewards: tuple[Choice, ...] | None = Field(
        None, description="what is worth how much, in this order; `verifier` alone is the judge's verdict"
    )
    group_by: Literal["variant", "problem"] = Field(
        "variant", description="what credit compares: each group of a step apart, or all groups of a problem"
    )
    actions: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="the only things to choose from, one token each; empty: the whole vocabulary"
    )
    models: dict[str, ModelSettings] = Field(
        default_factory=dict, description="frozen models beside the policy, by the role that they play"
    )
    selectors: tuple[Choice, ...] | None = None
    credit: Choice | tuple[Choice, ...] | None = None
    objective: Choice | None = None
    reduction: Reduction | None = None
    correction: Choice | None = None
    kl: Choice | None = None
    entropy_coef: float = 0.0
    value_coef: float = Field(0.5, ge=0)
    mask_truncated_completions: bool = False

    num_iterations: int = Field(1, ge=1, le=MOST_PASSES, description="passes over a batch")
    minibatches: int = Field(1, ge=1, description="optimizer updates of one pass")
    max_tokens_per_microbatch: int | Literal["auto"] = Field(
        "auto",
        description="stored tokens of one forward pass; auto: as many as the device's memory plan allows",
    )
    recompute_activations: bool | Literal["auto"] = Field(
        "auto",
        description="make a layer's activations again in its backward pass; auto: only where memory asks for it",
    )
    learning_rate: float = Field(1e-4, gt=0, le=1)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    schedule_steps: int | None = Field(
        None,
        ge=1,
        description="optimizer updates over which the schedule decays; None: those of the whole run",
    )
    warmup_steps: int = Field(0, ge=0, description="optimizer updates with a rising learning rate")
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    max_grad_norm: float = Field(1.0, gt=0)

    engine: Literal["auto", "native", "transformers"] = "auto"
    one_step_off: bool = Field(
        False, description="sample the next step while this one is trained, from weights one step old"
    )
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = Field(
        False, description="compile the decoder layers for training, which takes minutes when a run starts"
    )
    max_error_share: float = Field(
        0.1, ge=0, le=1, description="stop when more of a step's verdicts are errors"
    )
    price_per_hour: float | None = Field(
        None,
        ge=0,
        description="what an hour of this machine costs, in any currency; counted, and decides nothing",
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    eval: EvalSettings = EvalSettings()  # type: ignore[call-arg]
    checkpoint: CheckpointSettings = CheckpointSettings()  # type: ignore[call-arg]
    guards: Guards = Guards()  # type: ignore[call-arg]

    _written: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def written(self) -> frozenset[str]:
        """The keys that the user wrote, as they were written: `epsilon`, `eval.k`. Those of cards, of defaults and of
        shipped recipes are not among them. It decides nothing but what is said.
        """
        return self._written

    def with_written(self, keys: frozenset[str]) -> Recipe:
        """This recipe, with what the user wrote of it."""
        out = self.model_copy()
        out._written = keys
        return out

    @field_validator("models")
    @classmethod
    def _free_roles(cls, value: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        if taken := sorted({"policy", "reference"} & set(value)):
            raise ValueError(f"the role `{taken[0]}` is the run's own")
        return value

    @field_validator("max_tokens_per_microbatch", mode="before")
    @classmethod
    def _tokens_or_auto(cls, value: Any) -> Any:
        """One complaint for a wrong value, not one for each type that it could have had."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        whole = whole or (isinstance(value, float) and value.is_integer())
        if value != "auto" and not (whole and 1 <= value <= MOST_STORED):
            raise ValueError(
                f"it must be a count of tokens, at least 1 and at most {MOST_STORED:,}, or `auto`"
            )
        return value

    @field_validator("recompute_activations", mode="before")
    @classmethod
    def _truth_or_auto(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != "auto":
            raise ValueError("it must be true, false or `auto`")
        return value

    def dump(self) -> dict[str, Any]:
        """Plain JSON values, as recipe.yaml holds them."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """A hash of everything that decides the run's result."""
        text = json.dumps(self.dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
