"""Files that hold secrets: nobody but this user can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MODE = 0o600


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
