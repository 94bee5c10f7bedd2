"""What is measured: a model, so many rollouts of such lengths, and the recipe that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.catalog import fill
from hone.compute.memory import CAP
from hone.core.errors import RecipeError, nearest
from hone.core.recipe import Recipe
from hone.policies import shapes
from hone.policies.loading import load_tokenizer, resolve_device
from hone.training.bench import prompts
from hone.training.bench.lengths import Lengths, schedule

# Shapes of well-known models; their weights are random, which costs the same.
PRESETS = {
    "tiny": "qwen3:hidden=256,layers=4,heads=4,kv_heads=2,head_dim=64,ffn=768,vocab=98",
    "qwen3-0.6b": "qwen3:hidden=1024,layers=28,heads=16,kv_heads=8,head_dim=128,ffn=3072,vocab=151936",
    "qwen2.5-0.5b": "qwen2:hidden=896,layers=24,heads=14,kv_heads=2,head_dim=64,ffn=4864,vocab=151936",
    "qwen2.5-1.5b": "qwen2:hidden=1536,layers=28,heads=12,kv_heads=2,head_dim=128,ffn=8960,vocab=151936",
}
DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Workload:
    """`problems` prompts of `prompt` tokens, `generations` answers to each of up to `completion` tokens.

    `model` is a preset, a shape, or what a recipe's `model` may be. `max_tokens` are those of one forward pass in
    training; `compile` compiles the decoder layers for it. Raises RecipeError for numbers without a meaning,
    PolicyError for a bad shape.
    """

    model: str = "tiny"
    problems: int = 4
    generations: int = 16
    prompt: int = 32
    completion: int = 128
    lengths: Lengths = "equal"
    dtype: str = "auto"
    device: str = "auto"
    max_tokens: int = 16_384
    learning_rate: float = 1e-6
    compile: bool = False

    def __post_init__(self) -> None:
        smallest = {"problems": 1, "generations": 2, "prompt": 1, "completion": 2, "max_tokens": 1}
        for name, low in smallest.items():
            if getattr(self, name) < low:
                raise RecipeError(f"`{name}` is {getattr(self, name)}.", f"It must be at least {low}.")
        if self.dtype not in DTYPES:
            raise RecipeError(f"`dtype` is {self.dtype!r}.", nearest(self.dtype, DTYPES))
        if shapes.spelled(self.name):
            shapes.parse(self.name)
        self.schedule()

    @property
    def name(self) -> str:
        """The model as a recipe names it."""
        return PRESETS.get(self.model, self.model)

    @property
    def rollouts(self) -> int:
        """Rollouts of a step."""
        return self.problems * self.generations

    def schedule(self) -> list[int]:
        """Sampled tokens of each rollout of a step, group after group."""
        return schedule(self.rollouts, self.completion, self.lengths)

    def by_group(self) -> list[list[int]]:
        """The same, a list for each prompt."""
        flat, size = self.schedule(), self.generations
        return [flat[i : i + size] for i in range(0, len(flat), size)]

    def prompts(self) -> list[str]:
        """The prompts of every step, as text."""
        tokenizer = load_tokenizer(self.name)
        return [prompts.prompt(tokenizer, self.prompt, i) for i in range(self.problems)]

    def recipe(self, folder: Path) -> Recipe:
        """The recipe of GRPO on this workload; its problems are written into `folder`."""
        keys: dict[str, Any] = {
            "task": prompts.write(folder, self.prompts()),
            "reward": f"{prompts.__file__}:{prompts.alternate.__name__}",
            "model": self.name,
            "method": "grpo",
            "num_generations": self.generations,
            "problems_per_step": self.problems,
            "max_completion_length": self.completion,
            "max_tokens_per_microbatch": self.max_tokens,
            "learning_rate": self.learning_rate,
            "steps": 1_000_000,  # never reached
            "eval": {"problems": 1},  # never evaluated
            "compile": self.compile,
            "guards": {"bundles": 0},  # writing one would be timed
            "dtype": self.dtype,
            "device": self.device,
        }
        return fill(Recipe.model_validate(keys), {})


def default(device: str = "auto") -> Workload:
    """What is measured if nothing is said: seconds on two cores, and enough to fill a GPU on one."""
    if resolve_device(device).type == "cpu":
        return Workload(device=device, max_tokens=CAP["cpu"])
    return Workload("qwen3-0.6b", problems=16, prompt=128, completion=256, device=device)
