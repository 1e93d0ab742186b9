"""What only one simulated board at a time can have."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class InUse(Exception):
    """Another board under power has it; the message says what."""


def hold(path: Path, said: str) -> int:
    """Take a lock: a descriptor that holds it until it is closed, or the process ends.

    path: a file of its own, made if need be. said: what to say where it is taken.
    Raises InUse.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUse(said) from None
    return descriptor


def release(descriptor: int) -> None:
    """Let go of a lock, also where a process that is just being started has a copy of it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
