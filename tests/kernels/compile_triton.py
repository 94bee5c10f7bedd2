"""Compiles every decode kernel for a GPU of compute capability 9.0, which needs Triton and no GPU. Run as a script."""

from __future__ import annotations

from typing import Any

from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from hone.kernels import decode_triton, layer_triton, logprobs_triton, sampling_triton

HALF, SINGLE, DOUBLE, LONG, INT, FLAG = "*bf16", "*fp32", "*fp64", "*i64", "*i32", "*i1"
ATTENTION = {"q": HALF, "keys": HALF, "values": HALF, "out": SINGLE, "lse": SINGLE, "scale": "fp32"}
HEADS = {"REP": 2, "DIM": 128, "D": 128}
KERNELS: list[tuple[Any, dict[str, str], dict[str, Any]]] = [
    (
        decode_triton._prefix_kernel,
        ATTENTION | {"tile_rows": INT, "tile_base": LONG, "tile_length": LONG},
        HEADS | {"ROWS": 16, "M": 32, "N": 64},
    ),
    (
        decode_triton._prefix_kernel,
        ATTENTION | {"tile_rows": INT, "tile_base": LONG, "tile_length": LONG},
        HEADS | {"ROWS": 64, "M": 128, "N": 64},
    ),
    (decode_triton._suffix_kernel, ATTENTION | {"slots": LONG, "used": LONG}, HEADS | {"M": 16, "N": 64}),
    (
        decode_triton._merge_kernel,
        {"parts": SINGLE, "lses": SINGLE, "out": HALF},
        {"P": 2, "R": 8, "DIM": 128, "D": 128},
    ),
    (
        layer_triton._norm_kernel,
        {"residual": SINGLE, "added": HALF, "weight": SINGLE, "normed": HALF, "eps": "fp32"},
        {"ADDS": True, "BLOCK": 1024},
    ),
    (
        layer_triton._rotate_kernel,
        {"heads": HALF, "cos": SINGLE, "sin": SINGLE, "q_weight": SINGLE, "k_weight": SINGLE, "slots": LONG,
         "places": LONG, "q_out": HALF, "keys": HALF, "values": HALF, "eps": "fp32"},
        HEADS | {"KV": 8, "NORMS": True, "ROTATES": True, "H": 4},
    ),
    (layer_triton._gate_kernel, {"gate_up": HALF, "out": HALF}, {"BLOCK": 1024}),
    (
        sampling_triton._chunk_kernel,
        {"logits": HALF, "temperature": DOUBLE, "highs": SINGLE, "sums": SINGLE, "tops": INT},
        {"BLOCK": 4096, "WIDE": False},
    ),
    (
        sampling_triton._draw_kernel,
        {"logits": HALF, "temperature": DOUBLE, "greedy": FLAG, "uniforms": DOUBLE, "highs": SINGLE, "sums": SINGLE,
         "tops": INT, "tokens": LONG, "logprobs": SINGLE},
        {"BLOCK": 4096, "CHUNKS": 64, "WIDE": False},
    ),
    (
        logprobs_triton._statistics_kernel,
        {"logits": HALF, "tokens": LONG, "logprobs": SINGLE, "normalisers": SINGLE, "entropies": SINGLE,
         "inverse": "fp32"},
        {"SIZE": 4096},
    ),
    (
        logprobs_triton._gradient_kernel,
        {"logits": HALF, "tokens": LONG, "normalisers": SINGLE, "entropies": SINGLE, "of_logprobs": SINGLE,
         "of_entropies": SINGLE, "inverse": "fp32"},
        {"ENTROPY": True, "SIZE": 4096},
    ),
]  # fmt: skip

if __name__ == "__main__":
    for kernel, types, constants in KERNELS:
        signature = {
            name: "constexpr" if name in constants else types.get(name, "i32") for name in kernel.arg_names
        }
        aligned = {
            (i,): [["tt.divisibility", 16]]
            for i, name in enumerate(kernel.arg_names)
            if signature[name][0] == "*"
        }
        source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
        compiled = compile_kernel(
            source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2}
        )
        print(kernel.__name__, compiled.metadata.shared, flush=True)
