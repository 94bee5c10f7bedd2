"""Decode steps whose shapes follow what is live, in plain torch: for every dtype and device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch

from hone.core.sampling import SamplingParams
from hone.engines.attention import Found, plan_prefixes
from hone.engines.cache import SuffixCache
from hone.engines.native_model import NativeModel
from hone.engines.sampler import draw, settings

if TYPE_CHECKING:
    from jaxtyping import Float, Int


Ints = npt.NDArray[np.int64]
NEW = -1  # what a row has been that holds another rollout from now on


class Steps(Protocol):
    """What decoding does with its rows. Each has a slot of the cache for what it samples."""

    def arrange(self, found: Found, kinds: Ints, was: Ints) -> None:
        """From here on row i follows prefix `found[i][1]` of block `found[i][0]` under sampler setting `kinds[i]`.

        It has been row `was[i]`, or is `NEW` and takes the slot of whatever row has been i.
        """
        ...

    def draw(
        self, hidden: Float[torch.Tensor, "rows width"], noise: Float[np.ndarray, "rows"]
    ) -> tuple[Int[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """Tokens and their logprobs, of last hidden states."""
        ...

    def decode(self, tokens: Ints, written: Ints) -> Float[torch.Tensor, "rows width"]:
        """Hidden states after `tokens[rows]`, of which row i's goes to place `written[i]` of its slot.

        They may be overwritten by the next call.
        """
        ...


class PlainSteps:
    """Steps of `model` on `cache`, for rollouts sampled under `params`. Row i has slot i."""

    def __init__(self, model: NativeModel, cache: SuffixCache, params: Sequence[SamplingParams]) -> None:
        self._model, self._cache = model, cache
        self._table = settings(params, model.device)
        self._used = 0  # places of slots that have been written

    def arrange(self, found: Found, kinds: Ints, was: Ints) -> None:
        """Plan for a batch that has changed."""
        moved = np.flatnonzero((was != NEW) & (was != np.arange(len(was))))
        if len(moved):
            self._cache.move(was[moved], moved, self._used)
        lengths = np.array([block.lengths[index] for block, index in found])
        self._prefix_lengths = torch.from_numpy(lengths).to(self._model.device)
        self._plan = plan_prefixes(found, self._model.device)
        self._settings = self._table.rows(kinds)

    def draw(
        self, hidden: Float[torch.Tensor, "rows width"], noise: Float[np.ndarray, "rows"]
    ) -> tuple[Int[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """Tokens and their logprobs, of last hidden states."""
        logits = self._model.logits(hidden)
        tokens, logprobs = draw(logits, torch.from_numpy(noise).to(logits.device), self._settings)
        return tokens.cpu().numpy(), logprobs.float().cpu().numpy()

    def decode(self, tokens: Ints, written: Ints) -> Float[torch.Tensor, "rows width"]:
        """Hidden states after `tokens[rows]`."""
        device = self._model.device
        after, place = (torch.from_numpy(each).to(device) for each in (tokens, written))
        used = self._used = int(written.max()) + 1
        bias = None
        if written.min() + 1 < used:
            last = place.repeat_interleave(self._model.num_kv)
            beyond = torch.arange(used, device=device) > last[:, None]
            bias = torch.zeros(beyond.shape, dtype=self._model.dtype, device=device)
            bias = bias.masked_fill_(beyond, -torch.inf)[:, None]
        cache = self._cache.view(place, used)
        return self._model.decode(after, self._prefix_lengths + place, cache, bias, self._plan)
