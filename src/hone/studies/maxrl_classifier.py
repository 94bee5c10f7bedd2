"""Any classifier as a policy: its classes are the actions of a contextual bandit, and one action of an image is right.

Many seeds are trained side by side. Each has its own weights, images and actions, so they never touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.errors import DataError
from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Credit = Callable[..., Any]
HELD_OUT = 360  # of the 1,797 images
CHUNK = 1 << 20  # rewards that a credit piece is shown at once
ROOT = 10  # digits


@dataclass(frozen=True)
class Digits:
    """Images of scikit-learn's digits: `pixels[n, 64]` in [0, 1] and `labels[n]` in 0..9."""

    pixels: Float[np.ndarray, "images pixels"]
    labels: Int[np.ndarray, "images"]

    def draw(
        self, rng: np.random.Generator, count: int, beside: int
    ) -> tuple[Float[np.ndarray, "count wide"], Int[np.ndarray, "count"]]:
        """`count` images of `beside` digits each, side by side, and the numbers that they spell."""
        chosen = rng.integers(len(self.labels), size=(count, beside))
        powers = ROOT ** np.arange(beside)[::-1]
        return self.pixels[chosen].reshape(count, -1), self.labels[chosen] @ powers


def digits() -> tuple[Digits, Digits]:
    """Training and held-out images, 1,437 and 360, the same in every run. Raises DataError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError(
            "The study of digits needs scikit-learn.", "Install it: `pip install 'hone-rl[studies]'`."
        ) from None
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels, labels = (found.data / 16).astype(np.float32)[order], found.target.astype(np.int64)[order]
    return (
        Digits(pixels[:-HELD_OUT], labels[:-HELD_OUT]),
        Digits(pixels[-HELD_OUT:], labels[-HELD_OUT:]),
    )


@dataclass
class Classifiers:
    """One hidden layer and a softmax over `actions` classes, for each of `seeds`; the last layer starts at zero.

    So every action starts with probability 1/actions. Trained by SGD with momentum.
    """

    seeds: Sequence[int]
    inputs: int
    hidden: int
    actions: int
    learning_rate: float
    momentum: float = 0.9
    weights: list[torch.Tensor] = field(init=False)

    def __post_init__(self) -> None:
        first = [
            np.random.default_rng((seed, 0)).normal(0, (2 / self.inputs) ** 0.5, (self.inputs, self.hidden))
            for seed in self.seeds
        ]
        count = len(self.seeds)
        self.weights = [
            torch.tensor(np.stack(first), dtype=torch.float32),
            torch.zeros(count, 1, self.hidden),
            torch.zeros(count, self.hidden, self.actions),
            torch.zeros(count, 1, self.actions),
        ]
        for weight in self.weights:
            weight.requires_grad_()
        self.optimizer = torch.optim.SGD(self.weights, self.learning_rate, self.momentum)

    def logits(
        self, pixels: Float[torch.Tensor, "seeds images inputs"]
    ) -> Float[torch.Tensor, "seeds images actions"]:
        """Scores of every action."""
        first, first_bias, last, last_bias = self.weights
        return torch.relu(pixels @ first + first_bias) @ last + last_bias

    def ascend(
        self,
        logits: Float[torch.Tensor, "seeds images actions"],
        direction: Float[torch.Tensor, "seeds images actions"],
    ) -> None:
        """One step along `direction`, a gradient with respect to the logits, averaged over the images of a seed."""
        self.optimizer.zero_grad()
        (-(logits * direction).sum() / logits.shape[1]).backward()
        self.optimizer.step()


def cross_entropy_direction(
    logits: Float[torch.Tensor, "seeds images actions"], labels: Int[torch.Tensor, "seeds images"]
) -> Float[torch.Tensor, "seeds images actions"]:
    """Gradient of log p(label) with respect to the logits: the exact maximum likelihood."""
    chosen = torch.nn.functional.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return chosen - torch.softmax(logits.detach(), -1)


class SampledDirection:
    """The update of `num_generations` sampled actions an image under a credit piece, from counts of actions.

    A reward is 1 where the action is the label. An advantage depends on an action only through its reward, so how often
    each action came up is all that the update needs: (1/N) Σ_i A_i (e_{a_i} − π). Credit that compares the members of a
    group knows an image by its successes; then its advantages are looked up in a table of 0 to N of them.
    """

    def __init__(self, credit: Credit, num_generations: int) -> None:
        self.credit, self.size = credit, num_generations
        per_group = getattr(credit, "min_batch", 1) == 1  # no statistic of the whole batch
        self.table = by_successes(credit, num_generations) if per_group else None

    def advantages(
        self, successes: Int[torch.Tensor, "seeds images"]
    ) -> tuple[Float[torch.Tensor, "seeds images"], Float[torch.Tensor, "seeds images"]]:
        """What a right and a wrong action of every image is given."""
        if self.table is not None:
            right, wrong = self.table
            return right[successes], wrong[successes]
        rows = [asked(self.credit, row, self.size) for row in successes]
        return torch.stack([right for right, _ in rows]), torch.stack([wrong for _, wrong in rows])

    def __call__(
        self,
        logits: Float[torch.Tensor, "seeds images actions"],
        labels: Int[torch.Tensor, "seeds images"],
        generators: Sequence[torch.Generator],
    ) -> Float[torch.Tensor, "seeds images actions"]:
        """Sample with one generator a seed, and give the update of the logits."""
        chances = torch.softmax(logits.detach(), -1)
        counts = torch.stack([draw_counts(p, self.size, g) for p, g in zip(chances, generators, strict=True)])
        return self.of_counts(chances, counts, labels)

    def of_counts(
        self,
        chances: Float[torch.Tensor, "seeds images actions"],
        counts: Float[torch.Tensor, "seeds images actions"],
        labels: Int[torch.Tensor, "seeds images"],
    ) -> Float[torch.Tensor, "seeds images actions"]:
        """The update of the logits, given how often each action came up."""
        at = labels[..., None]
        successes = counts.gather(-1, at)[..., 0]
        right, wrong = (a.to(chances.dtype) for a in self.advantages(successes.long()))
        weighed = counts * wrong[..., None]
        weighed = weighed.scatter(-1, at, (successes * right)[..., None])
        return (weighed - weighed.sum(-1, keepdim=True) * chances) / self.size


def draw_counts(
    chances: Float[torch.Tensor, "images actions"], size: int, generator: torch.Generator
) -> Float[torch.Tensor, "images actions"]:
    """How often each action came up in `size` independent draws."""
    drawn = torch.multinomial(chances, size, replacement=True, generator=generator)
    ones = torch.ones((), dtype=chances.dtype).expand(drawn.shape)
    return torch.zeros_like(chances).scatter_add_(1, drawn, ones)


def asked(
    credit: Credit, successes: Int[torch.Tensor, "images"], size: int
) -> tuple[Float[torch.Tensor, "images"], Float[torch.Tensor, "images"]]:
    """What `credit` gives a success and a failure of groups with so many successes in one batch; 0 where none is."""
    rewards = (torch.arange(size) < successes[:, None]).to(torch.float64)
    groups = torch.arange(len(successes)).repeat_interleave(size)
    given = credit(rewards.flatten(), groups).reshape(-1, size)
    none = torch.zeros((), dtype=given.dtype)
    return torch.where(successes > 0, given[:, 0], none), torch.where(successes < size, given[:, -1], none)


def by_successes(
    credit: Credit, size: int
) -> tuple[Float[torch.Tensor, "sizes"], Float[torch.Tensor, "sizes"]]:
    """What `credit` gives a success and a failure of a group of `size` with 0 to `size` successes."""
    parts = [asked(credit, part, size) for part in torch.arange(size + 1).split(max(1, CHUNK // size))]
    return torch.cat([right for right, _ in parts]), torch.cat([wrong for _, wrong in parts])


def band(x: Sequence[float], values: Any) -> dict[str, list[float]]:
    """A line of a figure from `values[seeds][points]`: the mean, with the lowest and the highest seed."""
    by_seed = np.asarray(values, dtype=float)
    low, high = by_seed.min(0).tolist(), by_seed.max(0).tolist()
    return {"x": list(x), "y": by_seed.mean(0).tolist(), "low": low, "high": high}
