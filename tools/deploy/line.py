"""The serial line itself: what kind of port it is, and what the firmware's own log does to it."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import termios
from collections.abc import Iterable, Iterator
from pathlib import Path

LOG = re.compile(r"(?:\x1b\[[0-9;]*m)?[EWIDV] \(\d+\) [\w.*-]+: ?.*$")
"""A line of ESP-IDF's log ("E (1234) wifi:..."), which goes over the same wire as the prompt."""

_MEMORY = 1
"""Major number of /dev/null, /dev/zero and the like."""
_NONE = "is not a serial port; expected one such as /dev/ttyUSB0"


def apart(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The lines, and for each whether it is the firmware's log.

    That may break into the middle of another line, which is put together again.
    """
    before = ""
    for line in lines:
        found = LOG.search(line)
        if found is None:
            yield before + line, False
            before = ""
        else:
            before += line[: found.start()]
            yield found[0], True
    if before:
        yield before, False


def no_port(port: str) -> str | None:
    """Why this is no serial port that the user may use: a short sentence; None if it may be one.

    It is looked at and not opened: that moves the adapter's control lines, and some boards reset
    then. A URL such as rfc2217://... is taken as it is.
    """
    if "://" in port or os.name != "posix":
        return None
    try:
        found = Path(port).stat()
    except PermissionError:
        return "this user may not look at it"
    except (OSError, ValueError):
        if "/" not in port:
            return "no such port; expected a device such as /dev/ttyUSB0"
        return "no such port; is the board plugged in?"
    if stat.S_ISDIR(found.st_mode):
        return "is a folder; expected a serial port such as /dev/ttyUSB0"
    if not stat.S_ISCHR(found.st_mode):
        return "is a file; expected a serial port such as /dev/ttyUSB0"
    if sys.platform == "linux" and os.major(found.st_rdev) == _MEMORY:
        return _NONE
    if not os.access(port, os.R_OK | os.W_OK):
        return "this user may not open it (Linux: add it to the group dialout, and log in again)"
    return None


def why_closed(port: str) -> str | None:
    """Why a port could not be opened: a short sentence; None if it can now. It is tried."""
    why = no_port(port)
    if why is not None or "://" in port or os.name != "posix":
        return why
    try:
        opened = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as e:
        if e.errno == errno.EBUSY:
            return "another program has it"
        if e.errno in (errno.ENXIO, errno.ENODEV, errno.EIO):
            return "no board is at it any more; plug it in"
        return f"cannot be opened: {e.strerror}"
    try:
        termios.tcgetattr(opened)
    except termios.error:
        return _NONE
    finally:
        os.close(opened)
    return None
