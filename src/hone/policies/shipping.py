"""Pack a trained model into the package as `sprout`: bfloat16 weights, with their hash beside them.

python -m hone.policies.shipping RUN/final
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from hone.core.lazy import torch
from hone.policies.loading import SPROUT, load_policy

HASHES = "SHA256"  # lines as sha256sum writes them
LIMIT = 8 * 2**20  # bytes the embedded model may take


def ship(source: Path, target: Path = SPROUT) -> dict[str, str]:
    """Write `source` into `target` rounded to bfloat16; returns the SHA-256 of every file.

    Raises ValueError if the result is larger than LIMIT.
    """
    policy = load_policy(str(source), device="cpu", dtype="float32")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    policy.save(target, torch.bfloat16)
    size = sum(p.stat().st_size for p in target.iterdir())
    if size > LIMIT:
        raise ValueError(f"{target} has {size} bytes, the limit is {LIMIT}")
    hashes = {p.name: digest(p) for p in sorted(target.iterdir())}
    lines = [f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=lambda n: n != "model.safetensors")]
    (target / HASHES).write_text("".join(lines), encoding="utf-8")
    return hashes


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    for name, value in ship(Path(sys.argv[1])).items():
        print(value, name)
