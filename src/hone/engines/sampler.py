"""Draws tokens from logits: temperature, truncation, and the inverse CDF at a given uniform.

The sampling distribution is softmax(logits / temperature), restricted to the kept support and renormalised. An action
space comes before the support rules.
Support rules are applied in the order top-k, top-p, min-p, each to the renormalised result of the one before,
as transformers does. Temperature 0 is the point mass on the largest logit; the logprob of its token is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from hone.core.sampling import SamplingParams

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class RowSettings:
    """Sampler settings as columns `[rows, 1]` (or `[1, 1]` when all rows agree); None where no row uses them.

    Greedy rows have temperature 1 here and are overruled by `greedy`.
    """

    temperature: Float[torch.Tensor, "rows 1"] | None
    greedy: Bool[torch.Tensor, "rows 1"] | None
    top_k: Int[torch.Tensor, "rows 1"] | None
    top_p: Float[torch.Tensor, "rows 1"] | None
    min_p: Float[torch.Tensor, "rows 1"] | None
    actions: Int[torch.Tensor, "rows most"] | None = (
        None  # token ids of a row's action space, then -1; all -1: none
    )

    @property
    def truncates(self) -> bool:
        """Whether some row excludes tokens by how likely they are."""
        return not (self.top_k is None and self.top_p is None and self.min_p is None)

    def rows(self, kinds: npt.NDArray[np.int64]) -> RowSettings:
        """The settings of rows whose i-th takes entry `kinds[i]` of this table."""
        columns = [self.temperature, self.greedy, self.top_k, self.top_p, self.min_p, self.actions]
        if all(c is None or len(c) == 1 for c in columns):
            return self
        return RowSettings(*(None if c is None else c[torch.from_numpy(kinds).to(c.device)] for c in columns))


def settings(params: Sequence[SamplingParams], device: torch.device | str = "cpu") -> RowSettings:
    """The settings of one row for each of `params`."""

    def column(values: list[float], neutral: float, dtype: torch.dtype) -> torch.Tensor | None:
        if all(v == neutral for v in values):
            return None
        return torch.tensor(values, dtype=dtype, device=device)[:, None]

    greedy = [p.temperature == 0 for p in params]
    return RowSettings(
        temperature=column([p.temperature or 1.0 for p in params], 1.0, torch.float64),
        greedy=column([float(g) for g in greedy], 0.0, torch.bool),
        top_k=column([float(p.top_k) for p in params], 0.0, torch.int64),
        top_p=column([p.top_p for p in params], 1.0, torch.float64),
        min_p=column([p.min_p for p in params], 0.0, torch.float64),
        actions=_actions([p.support for p in params], device),
    )


def _actions(supports: Sequence[tuple[int, ...]], device: torch.device | str) -> torch.Tensor | None:
    most = max((len(s) for s in supports), default=0)
    if not most:
        return None
    return torch.tensor([[*s, *[-1] * (most - len(s))] for s in supports], device=device)


def allowed(
    actions: Int[torch.Tensor, "rows most"], vocabulary: int
) -> Bool[torch.Tensor, "rows vocabulary"]:
    """Which tokens the action space of each row has; a row without one has all."""
    places = torch.where(actions < 0, vocabulary, actions)
    out = torch.zeros(len(actions), vocabulary + 1, dtype=torch.bool, device=actions.device)
    out.scatter_(1, places, True)
    return out[:, :vocabulary] | (actions[:, :1] < 0)


def support(
    logprobs: Float[torch.Tensor, "rows vocabulary"], rows: RowSettings
) -> Bool[torch.Tensor, "rows vocabulary"]:
    """Which tokens truncation keeps. The likeliest token is always kept."""
    ordered, order = logprobs.sort(stable=True, dim=-1, descending=True)
    probs = ordered.exp()
    kept = torch.ones_like(order, dtype=torch.bool)
    if rows.top_k is not None:
        kept &= (torch.arange(order.shape[-1], device=order.device) < rows.top_k) | (rows.top_k == 0)
        probs = probs * kept / (probs * kept).sum(-1, keepdim=True)
    if (
        rows.top_p is not None
    ):  # the smallest set that holds top_p: a token stays if those before it hold less
        kept &= ((probs.cumsum(-1) - probs) < rows.top_p) | (rows.top_p == 1)
    if rows.min_p is not None:
        kept &= probs >= rows.min_p * probs[:, :1]
    kept[:, 0].fill_(True)
    return torch.zeros_like(kept).scatter_(-1, order, kept)


def draw(
    logits: Float[torch.Tensor, "rows vocabulary"], uniforms: Float[torch.Tensor, "rows"], rows: RowSettings
) -> tuple[Int[torch.Tensor, "rows"], Float[torch.Tensor, "rows"]]:
    """The token at which the CDF of a row's sampling distribution, in vocabulary order, first exceeds its uniform.

    `uniforms` are in [0, 1). Returns tokens and their logprobs in nats, in float32 at least; a row whose
    logits are not finite has the logprob NaN.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if rows.temperature is not None:
        logits = logits / rows.temperature.to(logits.dtype)
    among = None if rows.actions is None else allowed(rows.actions, logits.shape[-1]).expand(logits.shape)
    if among is not None:
        logits = logits.masked_fill(~among, -torch.inf)
    logprobs = logits.log_softmax(-1)
    kept = support(logprobs, rows) if rows.truncates else None
    if kept is not None:
        logprobs = logprobs.masked_fill(~kept, -torch.inf).log_softmax(-1)
    if among is not None:
        kept = among if kept is None else kept & among
    cdf = logprobs.exp().cumsum(-1)
    # Rounded to the precision of the CDF, a uniform just below 1 must not become 1.
    below_one = 1 - torch.finfo(cdf.dtype).eps / 2
    target = uniforms.to(cdf.dtype).clamp(max=below_one)[:, None] * cdf[:, -1:]
    if kept is None:
        tokens = torch.searchsorted(cdf, target, right=True)
    else:  # a parallel cumulative sum may rise by rounding at an excluded token
        tokens = ((cdf > target) & kept).to(torch.uint8).argmax(-1, keepdim=True)
    if rows.greedy is not None:
        tokens = torch.where(rows.greedy, logits.argmax(-1, keepdim=True), tokens)
    # Logits that are not finite may lead past the vocabulary; their logprob is NaN wherever it is read.
    tokens = tokens.clamp(max=logits.shape[-1] - 1)
    chosen = logprobs.gather(-1, tokens)
    if rows.greedy is not None:
        chosen = torch.where(rows.greedy, chosen * 0.0, chosen)
    return tokens[:, 0], chosen[:, 0]
