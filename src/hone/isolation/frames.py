"""Messages between a process and its worker: JSON values, each behind its length in four bytes."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

HEAD = struct.Struct(">I")
LARGEST = 1 << 28  # bytes; a longer one is not a message but something that user code wrote


def packed(message: Any) -> bytes:
    """A message as bytes. TypeError or ValueError for what JSON cannot hold."""
    body = json.dumps(message).encode()  # ASCII alone: what is no character in UTF-8 travels escaped
    if len(body) > LARGEST:
        raise ValueError(f"a message of {len(body)} bytes is too long")
    return HEAD.pack(len(body)) + body


def write(descriptor: int, message: Any) -> None:
    """Write a message, waiting as long as it takes."""
    rest = memoryview(packed(message))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read(descriptor: int) -> Any:
    """The next message, waiting as long as it takes. EOFError if the other end is closed."""
    (length,) = HEAD.unpack(_exactly(descriptor, HEAD.size))
    return json.loads(_exactly(descriptor, length))


def _exactly(descriptor: int, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        chunk = os.read(descriptor, count - len(parts))
        if not chunk:
            raise EOFError
        parts += chunk
    return bytes(parts)
