"""Kernels for CPUs of what lies between a decoder's matrix products, in sampling and in training, all in float32.

In a decode step, row i is a rollout's new token, and slot `slots[i]` of the cache's `keys` and `values`
`[slots, Hkv, T, D]` is its own. Kernels share this file because numba's store of compiled ones sees changes of a
kernel's own file alone.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hone.kernels.numba_jit import kernel, part
from hone.kernels.products import PLAIN, ROW_MAJOR, TRANSPOSED, product

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
F = np.float32
matrix_product = product()
BLOCK = 64  # tokens whose probabilities are added up in vector registers


@part
def exp(x: np.float32) -> np.float32:
    """e^x within 2 units in the last place, for x up to 88; below -87 it is 0, and of NaN it is NaN.

    Cody and Waite's reduction to |r| <= ln(2)/2, where a polynomial of degree 6 holds float32 (Cephes, expf).
    """
    below = x < F(-87)
    x = F(-87) if below else x
    n = np.floor(x * F(1.44269504) + F(0.5))
    r = x - n * F(0.693359375)
    r = r - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4) * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + F(1)
    # 2^n by its bits.
    power = p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(F)
    return F(0) if below else power


@kernel("void(f4[:, ::1], f4[:, ::1], f4[::1], f4, f4[:, ::1])")
def add_and_norm(x: Floats, added: Floats, weight: Floats, eps: np.float32, out: Floats) -> None:
    """Add `added`, which may have no rows, to `x[rows, width]`; `out` is the RMS norm of the sum times `weight`."""
    rows, width = x.shape
    adds = len(added) > 0
    for row in numba.prange(rows):
        state, normed = x[row], out[row]
        if adds:
            more = added[row]
            for i in range(width):
                state[i] += more[i]
        squares = F(0)
        for i in range(width):
            squares += state[i] * state[i]
        scale = F(1) / np.sqrt(squares / F(width) + eps)
        for i in range(width):
            normed[i] = state[i] * scale * weight[i]


@kernel(
    "void(f4[:, :, ::1], f4[:, ::1], f4, f4[:, ::1], f4[:, ::1], i8[::1], i8[::1], "
    "i8[::1], f4[:, :, :, ::1], f4[:, :, :, ::1], i8[::1], i8[::1], f4, f4[::1])"
)
def turn_and_store(
    heads: Floats,
    norms: Floats,
    eps: np.float32,
    cos: Floats,
    sin: Floats,
    positions: Ints,
    slots: Ints,
    places: Ints,
    keys: Floats,
    values: Floats,
    at: Ints,
    stride: Ints,
    scale: np.float32,
    queries: Floats,
) -> None:
    """Rotated queries times `scale` into `queries`; rotated keys, and values, into places `places[i]` of the cache.

    `heads[rows, H + 2 Hkv, D]` are queries, keys and values. `norms[H + Hkv, D]` are the weights of head norms, and
    `cos`, `sin` `[positions, D]` the rotation (the first half of the sines is negated); each may have no columns. The
    queries of key-value head h of row i go to `queries[at[i] + h stride[i]:]`.
    """
    rows, _, dim = heads.shape
    num_kv = keys.shape[1]
    rep = heads.shape[1] // num_kv - 2
    num_heads, half = rep * num_kv, dim // 2
    for row in numba.prange(rows):
        c, s = cos[positions[row]], sin[positions[row]]
        for head in range(num_heads + num_kv):
            x = heads[row, head]
            if head < num_heads:
                start = at[row] + head // rep * stride[row] + head % rep * dim
                out, factor = queries[start : start + dim], scale
            else:
                out, factor = keys[slots[row], head - num_heads, places[row]], F(1)
            if norms.shape[1]:
                squares = F(0)
                for i in range(dim):
                    squares += x[i] * x[i]
                factor /= np.sqrt(squares / F(dim) + eps)
                for i in range(dim):
                    out[i] = x[i] * norms[head, i] * factor
            else:
                for i in range(dim):
                    out[i] = x[i] * factor
            if cos.shape[1]:
                for i in range(half):
                    first, second = out[i], out[i + half]
                    out[i] = first * c[i] + second * s[i]
                    out[i + half] = second * c[i + half] + first * s[i + half]
        for h in range(num_kv):
            values[slots[row], h, places[row]] = heads[row, num_heads + num_kv + h]


@kernel(
    "void(f4[::1], f4[::1], f4[::1], i8[::1], i8[::1], "
    "f4[:, :, :, ::1], f4[:, :, :, ::1], i8[::1], i8[::1], f4[:, :, ::1])"
)
def merge_own(
    queries: Floats,
    shared: Floats,
    lse: Floats,
    at: Ints,
    stride: Ints,
    keys: Floats,
    values: Floats,
    slots: Ints,
    places: Ints,
    out: Floats,
) -> None:
    """Attention `out[rows, H, D]` of one token per row to its prefix and to places up to `places[i]` of its slot.

    `queries` are scaled and lie where `turn_and_store` puts them, and so does the attention to the prefixes, `shared`,
    and, without the last axis, its log-sum-exp. The prefix enters the softmax as a single
    key with score `lse` and value `shared`, which is exact.
    """
    rows, num_heads, dim = out.shape
    num_kv = keys.shape[1]
    rep = num_heads // num_kv
    for unit in numba.prange(rows * num_kv):
        row, h = unit // num_kv, unit % num_kv
        used = places[row] + 1
        key, value = keys[slots[row], h], values[slots[row], h]
        weights = np.empty(used, F)
        for r in range(rep):
            start = at[row] + h * stride[row] + r * dim
            query, prefix = queries[start : start + dim], shared[start : start + dim]
            total_out = out[row, h * rep + r]
            highest = lse[start // dim]
            for t in range(used):
                score = F(0)
                for i in range(dim):
                    score += query[i] * key[t, i]
                weights[t] = score
                highest = score if score > highest else highest
            weight = exp(lse[start // dim] - highest)
            total = weight
            for t in range(used):
                weights[t] = exp(weights[t] - highest)
                total += weights[t]
            for i in range(dim):
                total_out[i] = weight * prefix[i]
            for t in range(used):
                for i in range(dim):
                    total_out[i] += weights[t] * value[t, i]
            for i in range(dim):
                total_out[i] /= total


@kernel("void(f4[:, ::1], f4[:, ::1])")
def silu_gate(gate_up: Floats, out: Floats) -> None:
    """`out[rows, width]` is silu(gate) up, of `gate_up[rows, 2 width]`."""
    rows, width = out.shape
    for row in numba.prange(rows):
        for i in range(width):
            gate = gate_up[row, i]
            # Beyond the range of exp the gate is shut.
            power = exp(F(87) if gate < F(-87) else -gate)
            out[row, i] = gate / (F(1) + power) * gate_up[row, width + i]


@part
def multiply(
    rows: int, width: int, depth: int, left: int, right: int, kind: int, beta: np.float32, out: int
) -> None:
    """`out[rows, width]` is `beta out` plus `left[rows, depth]` times a matrix of `kind`; all are addresses."""
    step = depth if kind == TRANSPOSED else width
    matrix_product(
        np.int32(ROW_MAJOR), np.int32(PLAIN), np.int32(kind), np.int32(rows), np.int32(width), np.int32(depth),
        left, np.int32(depth), right, np.int32(step), beta, out, np.int32(width),
    )  # fmt: skip


@kernel("void(f4[:, ::1], f4[::1], i8, f4[::1], f4[:, ::1])", loops=False)
def linear(x: Floats, matrix: Floats, kind: int, bias: Floats, out: Floats) -> None:
    """`out[rows, width]` is `x[rows, depth]` times a matrix of `kind`, plus the bias, which may be empty."""
    rows, width = out.shape
    if len(bias):
        for row in range(rows):
            out[row] = bias
    beta = F(1) if len(bias) else F(0)
    multiply(rows, width, x.shape[1], x.ctypes.data, matrix.ctypes.data, kind, beta, out.ctypes.data)


@part
def aligned(rows: int, width: int) -> Floats:
    """A new array that begins at a multiple of 64 bytes: how products round depends on that."""
    room = np.empty(rows * width + 15, F)
    first = -(room.ctypes.data // 4) % 16
    return room[first : first + rows * width].reshape(rows, width)


@kernel("void(f4[::1], i8[:, ::1], i8, i8, f4[::1], f4[::1])")
def attend_prefixes(queries: Floats, units: Ints, index: int, dim: int, shared: Floats, lse: Floats) -> None:
    """Attention of scaled queries to prefixes in layer `index`, into `shared`; its log-sum-exp into `lse`.

    A unit is what shares keys: addresses of the keys and the values `[length, dim]` of layer 0, bytes from layer to
    layer, length, first place among the queries of `dim`, and number of queries.
    """
    for unit in numba.prange(len(units)):
        key, value, size, length, first, count = units[unit]
        key, value, scores = key + index * size, value + index * size, aligned(count, length)
        query, out = queries[first * dim :], shared[first * dim :]
        multiply(count, length, dim, query.ctypes.data, key, TRANSPOSED, F(0), scores.ctypes.data)
        for row in range(count):
            score = scores[row]
            highest = score[0]
            for t in range(length):
                highest = score[t] if score[t] > highest else highest
            total = F(0)
            for t in range(length):
                score[t] = exp(score[t] - highest)
                total += score[t]
            for t in range(length):
                score[t] /= total
            lse[first + row] = highest + F(np.log(total))
        multiply(count, dim, length, scores.ctypes.data, value, PLAIN, F(0), out.ctypes.data)


@kernel(
    "void(UniTuple(f4[::1], 10), UniTuple(f4[:, ::1], 3), UniTuple(f4[:, :, :, ::1], 2), UniTuple(f4[::1], 3), "
    "UniTuple(i8[::1], 5), i8[:, ::1], UniTuple(f4[:, ::1], 7), i8, i8, f4, f4)",
    loops=False,
    calls=True,
)
def layer(
    weights: tuple[Floats, ...],
    tables: tuple[Floats, ...],
    cache: tuple[Floats, ...],
    flat: tuple[Floats, ...],
    places: tuple[Ints, ...],
    units: Ints,
    buffers: tuple[Floats, ...],
    index: int,
    kind: int,
    eps: np.float32,
    scale: np.float32,
) -> None:
    """Layer `index` of a decoder for one token per row. `added` has what the layer before adds to `x`, then its own."""
    before_attention, before_mlp, qkv, out, gate_up, down, qkv_bias, out_bias, gate_up_bias, down_bias = (
        weights
    )
    head_norms, cos, sin = tables
    keys, values = cache
    queries, shared, lse = flat
    positions, slots, written, at, stride = places
    x, added, normed, heads, attended, gates, gated = buffers
    rows, dim = len(x), keys.shape[3]
    add_and_norm(x, added if index else added[:0], before_attention, eps, normed)
    linear(normed, qkv, kind, qkv_bias, heads)
    turn_and_store(
        heads.reshape(rows, -1, dim), head_norms, eps, cos, sin, positions, slots, written, keys, values, at, stride,
        scale, queries,
    )  # fmt: skip
    attend_prefixes(queries, units, index, dim, shared, lse)
    merge_own(queries, shared, lse, at, stride, keys, values, slots, written, attended.reshape(rows, -1, dim))
    linear(attended, out, kind, out_bias, added)
    add_and_norm(x, added, before_mlp, eps, normed)
    linear(normed, gate_up, kind, gate_up_bias, gates)
    silu_gate(gates, gated)
    linear(gated, down, kind, down_bias, added)


@kernel("void(f4[:, ::1], f8[::1], f4[::1], i8[::1], f4[::1])")
def draw(
    logits: Floats,
    uniforms: npt.NDArray[np.float64],
    temperature: Floats,
    tokens: npt.NDArray[np.int64],
    logprobs: Floats,
) -> None:
    """As `engines.sampler.draw`: tokens `[rows]` of `logits[rows, V]` and their logprobs. Temperature 0 is greedy.

    A row whose logits are not finite gets the logprob NaN. Blocks are summed in float64.
    """
    rows, size = logits.shape
    for row in numba.prange(rows):
        best, highest = 0, logits[row, 0]
        for i in range(size):
            if logits[row, i] > highest:
                best, highest = i, logits[row, i]
        inverse = F(1) if temperature[row] == F(0) else F(1) / temperature[row]
        blocks = (size + BLOCK - 1) // BLOCK
        sums = np.empty(blocks, np.float64)
        total = np.float64(0)
        for block in range(blocks):
            mass = F(0)
            for i in range(block * BLOCK, min(size, (block + 1) * BLOCK)):
                mass += exp((logits[row, i] - highest) * inverse)
            sums[block] = mass
            total += np.float64(mass)
        target = uniforms[row] * total
        block, before = 0, np.float64(0)
        while block < blocks - 1 and before + sums[block] <= target:
            before += sums[block]
            block += 1
        token = block * BLOCK
        last = min(size, token + BLOCK) - 1
        before += exp((logits[row, token] - highest) * inverse)
        while token < last and before <= target:
            token += 1
            before += exp((logits[row, token] - highest) * inverse)
        if temperature[row] == F(0):
            tokens[row], logprobs[row] = best, F(0)
        else:
            tokens[row] = token
            logprobs[row] = F((logits[row, token] - highest) * inverse - np.log(total))
        if total != total:
            tokens[row], logprobs[row] = 0, F(np.nan)


@kernel("void(f4[:, ::1], f4[::1], f4, f4[:, ::1], f4[::1])")
def norm_forward(x: Floats, weight: Floats, eps: np.float32, out: Floats, inverse: Floats) -> None:
    """`out[rows, width]` is the RMS norm of `x` times `weight`; `inverse[rows]` is 1 / rms, for the backward pass."""
    rows, width = x.shape
    for row in numba.prange(rows):
        values, normed = x[row], out[row]
        squares = F(0)
        for i in range(width):
            squares += values[i] * values[i]
        scale = F(1) / np.sqrt(squares / F(width) + eps)
        inverse[row] = scale
        for i in range(width):
            normed[i] = values[i] * scale * weight[i]


@kernel("void(f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4[:, ::1])")
def norm_backward(
    grad: Floats, x: Floats, weight: Floats, inverse: Floats, grad_x: Floats, grad_weight: Floats
) -> None:
    """Gradients of `x[rows, width]`, and of the weight by blocks of rows, `[blocks, width]`."""
    rows, width = x.shape
    blocks = len(grad_weight)
    size = (rows + blocks - 1) // blocks
    for block in numba.prange(blocks):
        total = grad_weight[block]
        for i in range(width):
            total[i] = F(0)
        for row in range(block * size, min(rows, (block + 1) * size)):
            g, values, out, scale = grad[row], x[row], grad_x[row], inverse[row]
            dot = F(0)
            for i in range(width):
                dot += g[i] * weight[i] * values[i]
            shrink = dot * scale * scale * scale / F(width)
            for i in range(width):
                out[i] = g[i] * weight[i] * scale - values[i] * shrink
                total[i] += g[i] * values[i] * scale


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1])")
def gate_forward(gate: Floats, up: Floats, out: Floats) -> None:
    """`out[rows, width]` is silu(gate) up."""
    rows, width = out.shape
    for row in numba.prange(rows):
        for i in range(width):
            x = gate[row, i]
            out[row, i] = x / (F(1) + exp(F(87) if x < F(-87) else -x)) * up[row, i]


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])")
def gate_backward(grad: Floats, gate: Floats, up: Floats, grad_gate: Floats, grad_up: Floats) -> None:
    """Gradients of both factors, `[rows, width]`."""
    rows, width = grad.shape
    for row in numba.prange(rows):
        for i in range(width):
            x, received = gate[row, i], grad[row, i]
            opened = F(1) / (F(1) + exp(F(87) if x < F(-87) else -x))
            grad_gate[row, i] = received * up[row, i] * opened * (F(1) + x * (F(1) - opened))
            grad_up[row, i] = received * x * opened
