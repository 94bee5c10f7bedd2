"""Scoring without prefix sharing: every rollout as one padded row, for architectures the forest cannot serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hone.core.forest import Forest, pack
from hone.core.problem import Problem
from hone.core.trajectory import Segment, Trajectory


def unsupported(model: nn.Module) -> str:
    """Why the selected-logprob kernel cannot read this model's head, or ''. Raises nothing."""
    config: Any = getattr(model, "config", None)
    head: Any = getattr(model, "get_output_embeddings", lambda: None)()
    if head is None or not hasattr(head, "weight"):
        return "the model has no output embedding"
    if getattr(head, "bias", None) is not None:
        return "its output embedding has a bias"
    text = config.get_text_config()
    for key in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
        if getattr(text, key, None) not in (None, 1, 1.0):
            return f"its head uses `{key}`"
    return ""


def rows(forest: Forest) -> tuple[Tensor, Tensor, Tensor]:
    """Padded `ids[R, L]`, `mask[R, L]` and, for each action token, the flat place in `[R * L]` of its predictor."""
    paths = _paths(forest)
    longest = max(len(p) for p in paths)
    ids = torch.zeros(len(paths), longest, dtype=torch.long)
    mask = torch.zeros(len(paths), longest, dtype=torch.long)
    place = torch.empty(len(forest.action_index), dtype=torch.long)
    start = 0
    for r, path in enumerate(paths):
        ids[r, : len(path)] = forest.tokens[torch.from_numpy(path)]
        mask[r, : len(path)] = 1
        span = slice(start, start + int(forest.lengths[r]))
        where = {int(flat): at for at, flat in enumerate(path)}
        predictors = forest.predictor[span].tolist()
        place[span] = torch.tensor([r * longest + where[p] for p in predictors], dtype=torch.long)
        start = span.stop
    return ids, mask, place


def _paths(forest: Forest) -> list[np.ndarray]:
    """Flat indices of each rollout's whole path, root first."""
    family_of: dict[int, np.ndarray] = {}
    for family in forest.families:
        for q in family.queries:
            family_of[int(q)] = family.context
    out = []
    start = 0
    for length in forest.lengths.tolist():
        own = forest.action_index[start : start + length].numpy()
        start += length
        last = int(own[-1])
        segment = next((s, n) for s, n in forest.segments if s <= last < s + n)
        out.append(
            np.concatenate([family_of.get(last, np.empty(0, np.int64)), np.arange(segment[0], last + 1)])
        )
    return out


def hidden(model: Any, forest: Forest) -> Tensor:
    """Last hidden states of the predictors of the action tokens, `[T, D]`, from padded rows."""
    ids, mask, place = rows(forest)
    device = next(model.parameters()).device
    out = model.base_model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
    states: Tensor = out.last_hidden_state
    return states.reshape(-1, states.shape[-1])[place.to(device)]


def probe(
    vocabulary: int, groups: Sequence[tuple[int, Sequence[int]]] = ((5, (3, 1, 4)), (3, (2,)))
) -> Forest:
    """A made-up forest of prompts of some length, each with answers of some lengths.

    By default a tiny one with unequal lengths: the batch on which a model's forest pass is checked.
    """
    problem = Problem("probe", "", "probe")
    trajectories = []
    for length, answers in groups:
        ids = (np.arange(length, dtype=np.int32) * 7 + length) % vocabulary
        root = Segment(ids.astype(np.int32), "prompt")
        for size in answers:
            own = (np.arange(size, dtype=np.int32) * 5 + size) % vocabulary
            leaf = Segment(own.astype(np.int32), "action", root, np.zeros(size, np.float32))
            trajectories.append(Trajectory(problem, leaf, "", "stop", {"group": 0}))
    return pack(trajectories)
