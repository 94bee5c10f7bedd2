"""Warm starts: models that studies begin with, trained once by a recipe and kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hone

KEPT = Path("runs/warm-starts")


def warm_start(recipe: Mapping[str, Any]) -> Path:
    """The folder of the model that `recipe` trains, made if it is not there.

    It lies under `runs/warm-starts` or, where that is set, `HONE_STUDY_CACHE`, by the hash of the recipe. Of several
    processes one trains, and the others wait for it.
    """
    name = hashlib.sha256(json.dumps(dict(recipe), sort_keys=True).encode()).hexdigest()[:16]
    kept = Path(os.environ.get("HONE_STUDY_CACHE", str(KEPT))).absolute()
    kept.mkdir(parents=True, exist_ok=True)
    target = kept / name
    with (kept / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it when this process ends, however it ends
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=kept) as folder:
                made = hone.train(recipe, out=Path(folder) / "run").final
                shutil.copytree(made, Path(folder) / "model")
                os.replace(Path(folder) / "model", target)
    return target
