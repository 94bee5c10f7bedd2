"""Loads a function the user wrote, named as `path/to/module.py:function`, or says why it cannot."""

from __future__ import annotations

import functools
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hone.core.errors import RewardError, nearest
from hone.core.problem import content_id


def load_callable(source: str) -> Callable[..., Any]:
    """The function that `source`, `path/to/module.py:function`, names.

    The file is imported once for each version of it (path and modification time). Its folder is appended to
    `sys.path`, so that it can import its neighbours. Raises RewardError, naming the file, if the file is
    missing or fails to import, or the function is missing or not callable.
    """
    file, colon, name = source.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise RewardError(f"`{source}` names no function.", "Write it as `path/to/module.py:function`.")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise RewardError(
            f"There is no file `{file}` (looked for {path}).", "Check the path before the colon."
        )
    module = _module(path, path.stat().st_mtime_ns)
    found = getattr(module, name, None)
    if found is None:
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        mend = nearest(name, known) if known else "The file defines no function."
        raise RewardError(f"`{file}` has no function `{name}`.", mend)
    if not callable(found):
        kind = type(found).__name__
        raise RewardError(f"`{name}` in `{file}` is of type {kind}, not a function.", "Name a callable.")
    return found


@functools.cache
def _module(path: Path, modified: int) -> ModuleType:
    # Registered under a name of its own: dataclasses and pickle look modules up; two files may share a stem.
    name = f"hone_user_{path.stem}_{content_id(str(path), modified)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a `.py` path always has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise RewardError(
            f"`{path}` cannot be imported: {one_line(error)}.",
            "Run it with `python` to see the whole traceback.",
        ) from error
    return module


def one_line(error: BaseException) -> str:
    """`error` as one line: its class, its message and the file and line it came from."""
    message = " ".join(str(error).split())[:500]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):  # its message names the place, and the last frame is the importer's
        place = ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{place}"


def describe(error: BaseException, limit: int = 4_000) -> str:
    """`one_line(error)`, then the last `limit` characters of its traceback: an error verdict's `detail`."""
    text = "".join(traceback.format_exception(error))
    return f"{one_line(error)}\n{text[-limit:]}"
