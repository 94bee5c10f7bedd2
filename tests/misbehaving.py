"""Functions that misbehave, for workers to survive."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path


def echo(value):
    return value


def hang(*_):
    while True:
        pass


def end(how):
    if isinstance(how, int):
        os._exit(how)
    os.kill(os.getpid(), getattr(signal, how))


def leave(code):
    sys.exit(code)


def eat_memory():
    return len(bytearray(1 << 40))


def fork_and_return(value):
    """Both processes come back with a value; only one of them is the worker."""
    os.fork()
    return value


def fork_and_end(code):
    """The fork keeps every open descriptor, the worker goes."""
    if os.fork() == 0:
        time.sleep(600)
    os._exit(code)


def fork_and_stay(path):
    """The fork says its number and stays."""
    child = os.fork()
    if child == 0:
        Path(path).write_text(str(os.getpid()))
        time.sleep(600)
    return child


def flood(limit=None):
    written = 0
    while limit is None or written < limit:
        written += sys.stdout.write("x" * 1000 + "\n")
    return "done"


def flood_from_a_thread():
    threading.Thread(target=flood, daemon=True).start()
    return "done"


def say(text):
    print(text)
    os.system("echo from below")
    return text


def write_everywhere():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b"\xff" * 100)
        except OSError:
            continue


def close_everything():
    os.closerange(3, 1024)


def leave_an_alarm():
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def wander(path):
    os.chdir(path)


def meet(mine, other):
    """Come back when `other` has come as well."""
    Path(mine).touch()
    while not Path(other).exists():
        time.sleep(0.01)
    return os.getpid()


def facts():
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "torch": sys.modules.get("torch", "never asked for") is not None and "torch" in sys.modules,
        "main thread": threading.current_thread() is threading.main_thread(),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "where": os.getcwd(),
        "hash": hash("text"),
    }


def want_torch():
    import torch

    return torch.__version__


def no_json():
    return threading.Lock()
