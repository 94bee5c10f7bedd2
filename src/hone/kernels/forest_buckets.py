"""Forest attention in buckets of similar length: the fused kernel of the CPU, or plain scores on any device and dtype.

Padding exists only inside the buckets made here. Where the places of a bucket lie side by side, which is so for
answers of one length, its rows are views and nothing is gathered, scattered or masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hone.core.forest import Forest

LONG = 1024  # queries
COMMON = 0.25  # the share of the items from which on their length has a bucket of its own
WASTE, SLACK = (
    0.25,
    8,
)  # padding that is cheaper than a call: a share of a row, and a few elements of a short one


@dataclass(frozen=True)
class Rows:
    """`count` rows of `length` stored places. Rows of unequal lengths are padded with place 0."""

    count: int
    length: int
    start: int | None  # places from here on, side by side: rows are views; None: they are gathered
    place: Tensor  # [real] the stored place of each real element
    index: Tensor  # [count * length] the stored place of every element, padding included
    kept: Tensor | None  # [real] which elements are real; None if all are
    padding: Tensor | None  # [count, length] bool; None if nothing is padded

    def take(self, x: Tensor) -> Tensor:
        """`[count, length, ...]` of `x[N, ...]`: a view where places lie side by side."""
        if self.start is None:
            flat = x.index_select(0, self.index)
        else:
            flat = x[self.start : self.start + len(self.index)]
        return flat.unflatten(0, (self.count, self.length))

    def write(self, into: Tensor, rows: Tensor) -> None:
        """Put `rows[count, length, ...]` at their places of `into[N, ...]`."""
        if self.start is None:
            into.index_copy_(0, self.place, self._real(rows))
        else:
            self.take(into).copy_(rows)

    def blank(self, x: Tensor) -> Tensor:
        """What `take` gives, with values that nobody may read."""
        if self.start is None:
            return x.new_empty(self.count, self.length, *x.shape[1:])
        return self.take(x)

    def put_back(self, into: Tensor, rows: Tensor) -> None:
        """Write rows that `take` or `blank` gave and that were changed in place; views are there already."""
        if self.start is None:
            self.write(into, rows)

    def add(self, into: Tensor, rows: Tensor) -> None:
        """Add `rows[count, length, ...]` to their places of `into[N, ...]`."""
        if self.start is None:
            into.index_add_(0, self.place, self._real(rows))
        else:
            self.take(into).add_(rows)

    def _real(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(0, 1)
        return flat if self.kept is None else flat.index_select(0, self.kept)


@dataclass(frozen=True)
class Bucket:
    """One attention call: rows of queries against rows of keys."""

    queries: Rows
    keys: Rows
    own: bool  # causal attention of segments to themselves, or full attention to shared contexts
    key_bias: Tensor | None  # [rows, 1, 1, Lk] 0 or -inf where a shared key is padding; None if none is


def buckets(forest: Forest, device: torch.device) -> tuple[Bucket, ...]:
    """Plan the attention of `forest`: the buckets of segments first, then those of shared contexts."""
    own = [np.arange(start, start + size) for start, size in forest.segments]
    out = []
    for group in _groups([(run, run) for run in own]):
        rows = _rows([run for run, _ in group], device)
        out.append(Bucket(rows, rows, True, None))
    for group in _groups([(f.queries, f.context) for f in forest.families]):
        queries, keys = (_rows(runs, device) for runs in zip(*group))
        bias = None
        if keys.padding is not None:
            bias = torch.zeros(keys.padding.shape, device=device).masked_fill_(keys.padding, float("-inf"))
            bias = bias[:, None, None, :]
        out.append(Bucket(queries, keys, False, bias))
    return tuple(out)


Runs = tuple[np.ndarray, np.ndarray]  # stored places of some queries and of their keys


def _groups(items: list[Runs]) -> list[list[Runs]]:
    """The items of each bucket: those of similar length, but no long ones of unequal length.

    Many queries are worth a call of their own, which reads them where they lie, more than they are worth a padded copy:
    those of a long item, and those of a length that many items have.
    """
    lengths = [(len(q), len(k)) for q, k in items]
    common = [length for length, count in Counter(lengths).items() if count >= COMMON * len(items)]
    alike = [[i for i, length in enumerate(lengths) if length == each] for each in common]
    others = [i for i, length in enumerate(lengths) if length not in common]
    out = []
    for group in [*alike, *([others[i] for i in g] for g in _similar([lengths[i] for i in others]))]:
        chosen = [items[i] for i in group]
        if len({(len(q), len(k)) for q, k in chosen}) > 1:
            out += [[item] for item in chosen if len(item[0]) >= LONG]
            chosen = [item for item in chosen if len(item[0]) < LONG]
        if chosen:
            out.append(chosen)
    return out


def _similar(lengths: list[tuple[int, int]]) -> list[list[int]]:
    """Group items of (query length, key length) so that padding adds little to either length."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i][1], -lengths[i][0], i))
    groups: list[list[int]] = []
    for i in order:
        if groups:
            head = lengths[groups[-1][0]]
            seen = [lengths[j][0] for j in (groups[-1][0], groups[-1][-1], i)]
            near = head[1] <= (1 + WASTE) * lengths[i][1] + SLACK
            if near and max(seen) <= (1 + 2 * WASTE) * min(seen) + SLACK:
                groups[-1].append(i)
                continue
        groups.append([i])
    return groups


def _rows(runs: Sequence[np.ndarray], device: torch.device) -> Rows:
    """The rows of some runs of stored places."""
    lengths = np.array([len(run) for run in runs])
    longest = int(lengths.max())
    place = np.concatenate(runs)
    real = np.arange(longest)[None, :] < lengths[:, None]
    index = np.zeros(real.shape, np.int64)
    index[real] = place
    padded = not real.all()
    beside = not padded and bool((np.diff(place) == 1).all())

    def move(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).to(device)

    return Rows(
        count=len(runs),
        length=longest,
        start=int(place[0]) if beside else None,
        place=move(place),
        index=move(index.reshape(-1)),
        kept=move(np.flatnonzero(real)) if padded else None,
        padding=move(~real) if padded else None,
    )


def forward(q: Tensor, k: Tensor, v: Tensor, plan: tuple[Bucket, ...], scale: float) -> tuple[Tensor, Tensor]:
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v` -> the output `[N, H, D]` and its log-sum-exp `[H, N]`."""
    num_kv = k.shape[1]
    out = q.new_empty(q.shape)
    lse = q.new_empty(q.shape[1], q.shape[0], dtype=torch.promote_types(q.dtype, torch.float32))
    for bucket in plan:
        queries, keys = bucket.queries, bucket.keys
        q_rows, k_rows, v_rows = queries.take(q), keys.take(k), keys.take(v)
        # Each place is in one own bucket and at most one shared bucket; own buckets come first.
        out_rows, lse_rows = (queries.blank(x) if bucket.own else queries.take(x) for x in (out, lse.T))
        for q_r, out_r, lse_r in _repeats(num_kv, q_rows, out_rows, lse_rows):
            part, part_lse = _attend(q_r, k_rows, v_rows, bucket, scale)
            if bucket.own:
                out_r.copy_(part)
                lse_r.copy_(part_lse)
            else:
                out_r.lerp_(part, torch.sigmoid(part_lse - lse_r)[..., None].to(part.dtype))
                lse_r.copy_(torch.logaddexp(lse_r, part_lse))
        queries.put_back(out, out_rows)
        queries.put_back(lse.T, lse_rows)
    return out, lse


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
    plan: tuple[Bucket, ...], scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of `q`, `k` and `v`, given that of the output."""
    num_kv = k.shape[1]
    grads = q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)
    for bucket in plan:
        queries, keys = bucket.queries, bucket.keys
        k_rows, v_rows = keys.take(k), keys.take(v)
        rows = [queries.take(x) for x in (q, grad, out, lse.T)]
        if queries.padding is not None:
            # Padding repeats place 0: its probabilities exp(S - lse) and its gradient must be nothing.
            rows[1].masked_fill_(queries.padding[..., None, None], 0.0)
            rows[3].masked_fill_(queries.padding[..., None], float("inf"))
        parts_q = queries.blank(grads[0]) if bucket.own else torch.empty_like(rows[0])
        sums: list[Tensor] = []
        for q_r, grad_r, out_r, lse_r, part_q in _repeats(num_kv, *rows, parts_q):
            found = _attend_backward(grad_r, q_r, k_rows, v_rows, out_r, lse_r, bucket, scale)
            part_q.copy_(found[0])
            sums = [a.add_(b) for a, b in zip(sums, found[1:])] if sums else list(found[1:])
        if bucket.own:
            queries.put_back(grads[0], parts_q)
            keys.write(grads[1], sums[0])
            keys.write(grads[2], sums[1])
        else:
            for at, into, part in zip((queries, keys, keys), grads, (parts_q, *sums)):
                at.add(into, part)
    return grads


def _repeats(num_kv: int, *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views `[rows, L, Hkv, ...]` of `[rows, L, H, ...]`: one query head of every key-value head at a time, so that
    keys are never copied for the heads that share them."""
    grouped = [x.unflatten(2, (num_kv, -1)) for x in rows]
    for nth in range(grouped[0].shape[3]):
        yield tuple(x[:, :, :, nth] for x in grouped)


def _fused(q: Tensor) -> bool:
    """Whether torch's fused CPU attention, which also gives the log-sum-exp, serves this tensor."""
    return q.device.type == "cpu"


def _attend(q: Tensor, k: Tensor, v: Tensor, bucket: Bucket, scale: float) -> tuple[Tensor, Tensor]:
    """Output `[rows, Lq, heads, D]` and log-sum-exp `[rows, Lq, heads]` of `q[rows, Lq, heads, D]` and its keys."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if _fused(q):
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, bucket.own, attn_mask=_mask(q, bucket), scale=scale
        )
    else:
        scores = _scores(q, k, bucket, scale)
        lse = scores.logsumexp(-1)
        out = (scores - lse[..., None]).exp().to(v.dtype) @ v
    return out.transpose(1, 2), lse.transpose(1, 2)


def _attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, bucket: Bucket, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of one part, given the merged output and lse of its rows; all laid out as in `_attend`."""
    grad, q, k, v, out, lse = (x.transpose(1, 2) for x in (grad, q, k, v, out, lse))
    if _fused(q):
        grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, lse, 0.0, bucket.own, attn_mask=_mask(q, bucket), scale=scale
        )
    else:
        probs = (_scores(q, k, bucket, scale) - lse[..., None]).exp()
        delta = (grad.to(probs.dtype) * out).sum(-1, keepdim=True)
        grad_scores = (probs * ((grad @ v.transpose(-1, -2)).to(probs.dtype) - delta) * scale).to(q.dtype)
        grad_v = probs.to(v.dtype).transpose(-1, -2) @ grad
        grads = grad_scores @ k, grad_scores.transpose(-1, -2) @ q, grad_v
    return tuple(x.transpose(1, 2) for x in grads)  # type: ignore[return-value]


def _mask(q: Tensor, bucket: Bucket) -> Tensor | None:
    """The bias of padded keys in the form of the fused kernel."""
    if bucket.key_bias is None:
        return None
    return bucket.key_bias.to(q.dtype).expand(-1, q.shape[1], q.shape[2], -1)


def _scores(q: Tensor, k: Tensor, bucket: Bucket, scale: float) -> Tensor:
    """Masked scores `[rows, heads, Lq, Lk]`, in float32 at least."""
    scores = q @ k.transpose(-1, -2)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)) * scale
    if bucket.own:
        length = scores.shape[-1]
        later = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        return scores.masked_fill(later, float("-inf"))
    return scores if bucket.key_bias is None else scores + bucket.key_bias
