"""Resource limits that a program cannot raise."""

from __future__ import annotations

import math
import resource

from hone.isolation.linux import drop_privileges

OPEN_FILES = 64


def impose(seconds: float, memory: int, threads: bool) -> None:
    """Limit processor seconds, bytes of address space, open files; no byte into files, no core dumps; no privileges.

    Without `threads` a user other than root can start neither threads nor processes. OSError or ValueError where the
    kernel refuses.
    """
    limits = {
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,  # one for the interpreter's own start
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if not threads:
        limits[resource.RLIMIT_NPROC] = 0
    for limit, most in limits.items():
        hard = resource.getrlimit(limit)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (value, value))
    drop_privileges()
