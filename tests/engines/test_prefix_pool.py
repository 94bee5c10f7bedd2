from __future__ import annotations

import numpy as np
import pytest
import torch

from hone.engines.attention import PrefixBlock
from hone.engines.prefix_pool import PrefixPool


def prefix(name: int, length: int) -> np.ndarray:
    return np.full(length, name, np.int32)


def block(*prefixes: np.ndarray) -> dict[PrefixBlock, list[np.ndarray]]:
    """Computed prefixes whose keys and values are their tokens, padded to the longest with -1."""
    longest = max(len(p) for p in prefixes)
    stored = torch.full((2, 2, len(prefixes), 3, longest, 4), -1.0)
    for i, p in enumerate(prefixes):
        stored[:, :, i, :, : len(p)] = torch.from_numpy(p)[:, None].float()
    hidden = torch.tensor([[float(p[0])] for p in prefixes])
    return {PrefixBlock(stored, None, hidden, np.array([len(p) for p in prefixes])): list(prefixes)}


def pool(budget: int) -> PrefixPool:
    return PrefixPool(2, 3, 4, torch.float32, torch.device("cpu"), budget)


def check(subject: PrefixPool, *prefixes: np.ndarray) -> None:
    places: set[int] = set()
    for p in prefixes:
        found = subject[p]
        assert found.length == len(p)
        assert found.hidden.item() == p[0]
        assert bool((subject.tensor[:, :, :, found.base : found.base + found.length] == float(p[0])).all())
        own = set(range(found.base, found.base + found.length))
        assert places.isdisjoint(own)
        places |= own


def test_prefixes_lie_end_to_end_and_growing_keeps_them() -> None:
    subject = pool(1000)
    many = [prefix(i, 3 + i) for i in range(8)]
    for p in many:
        subject.add(block(p), ())
    check(subject, *many)
    assert subject.tensor.shape[3] == 64  # 52 tokens


def test_the_oldest_go_first_and_those_in_use_never() -> None:
    subject = pool(16)
    first, second, third = prefix(1, 5), prefix(2, 5), prefix(3, 5)
    for p in (first, second, third):
        subject.add(block(p), ())
    late = prefix(4, 6)
    subject.add(block(late), {first.tobytes()})
    assert second not in subject
    check(subject, first, third, late)
    assert subject.tensor.shape[3] == 16


def test_what_is_in_use_grows_the_pool_beyond_its_budget() -> None:
    subject = pool(8)
    kept, more = prefix(1, 7), prefix(2, 9)
    subject.add(block(kept), ())
    subject.add(block(more), {kept.tobytes()})
    check(subject, kept, more)
    assert subject.tensor.shape[3] == 16


def test_reserved_memory_stays_where_it_is_and_survives_a_clear() -> None:
    subject = pool(100)
    many = [prefix(i, 9) for i in range(5)]
    subject.reserve([*many, *many])
    place = subject.tensor.data_ptr()
    assert subject.tensor.shape[3] == 64
    subject.add(block(*many), ())
    subject.reserve(many)
    check(subject, *many)
    subject.clear()
    assert many[0] not in subject
    subject.add(block(*many[::-1]), ())
    check(subject, *many)
    assert subject.tensor.data_ptr() == place


@pytest.mark.parametrize("seed", range(5))
def test_any_history_keeps_what_is_stored_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    subject = pool(60)
    lengths = rng.integers(1, 12, 40)
    live: list[int] = []
    for i, length in enumerate(lengths):
        subject.add(block(prefix(i, length)), {prefix(j, lengths[j]).tobytes() for j in live})
        live = [j for j in [*live, i] if rng.random() < 0.6]
        stored = [prefix(j, lengths[j]) for j in range(i + 1) if prefix(j, lengths[j]) in subject]
        assert set(live) <= {int(p[0]) for p in stored}
        check(subject, *stored)
    assert len(stored) < 40
