"""Files and folders that hold secrets: nobody but this user can read them, and none is left."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

_MODE = 0o600
PREFIX = "aliyun-iot-"
_LOCK = "lock"
_YOUNG = 60.0
"""Seconds that a folder without a lock is left alone: its process may be about to take it."""


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, also where it was there before with more rights.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, _MODE)  # before anything is in it
        file.write(content)


def make_private(path: Path) -> None:
    """As `write_private`, for a file that another program is about to fill: what is there stays.

    Raises OSError.
    """
    path.touch(_MODE)
    path.chmod(_MODE)


class PrivateFolder:
    """A temporary folder that only this user can read: `with PrivateFolder() as folder: ...`.

    It goes when it is closed, and at the latest when the process ends. What a killed process left
    is removed by the next one that makes such a folder: whoever lives holds a lock on its own.
    """

    def __init__(self) -> None:
        _sweep_once()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # made with mode 0700
        # Locked before it has the name that others look at.
        lock = os.open(self.path / "new", os.O_RDWR | os.O_CREAT, _MODE)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (self.path / "new").rename(self.path / _LOCK)
        self.close = weakref.finalize(self, _remove, self.path, lock)
        """Remove it. Safe to call again."""

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *ignored: object) -> None:
        self.close()


def _remove(path: Path, lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


def sweep() -> None:
    """Remove the private folders of this user's processes that are no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another sweeps too, or it is somebody else's
            if path.lstat().st_uid == os.geteuid() and path.is_dir() and _abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


_sweep_once = functools.cache(sweep)


def _abandoned(path: Path) -> bool:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return time.time() - path.lstat().st_mtime > _YOUNG
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
