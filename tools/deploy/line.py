"""The serial line itself: what kind of port it is, and what the firmware's own log does to it."""

from __future__ import annotations

import errno
import os
import re
import stat
import termios
from collections.abc import Iterable, Iterator
from pathlib import Path

LOG = re.compile(r"(?:\x1b\[[0-9;]*m)?[EWIDV] \(\d+\) [\w.*-]+: ?.*$")
"""A line of ESP-IDF's log ("E (1234) wifi:..."), which goes over the same wire as the prompt."""


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


def why_closed(port: str) -> str | None:
    """Why a port cannot be opened: a short sentence; None if it can.

    It is looked at, and opened for an instant. A URL such as rfc2217://... is taken as it is.
    """
    if "://" in port or os.name != "posix":
        return None
    try:
        mode = Path(port).stat().st_mode
    except PermissionError:
        return "this user may not look at it"
    except (OSError, ValueError):
        if "/" not in port:
            return "no such port; expected a device such as /dev/ttyUSB0"
        return "no such port; is the board plugged in?"
    if stat.S_ISDIR(mode):
        return "is a folder; expected a serial port such as /dev/ttyUSB0"
    if not stat.S_ISCHR(mode):
        return "is a file; expected a serial port such as /dev/ttyUSB0"
    try:
        opened = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except PermissionError:
        return "this user may not open it (Linux: add it to the group dialout, and log in again)"
    except OSError as e:
        if e.errno == errno.EBUSY:
            return "another program has it"
        if e.errno in (errno.ENXIO, errno.ENODEV, errno.EIO):
            return "no board is at it any more; plug it in"
        return f"cannot be opened: {e.strerror}"
    try:
        termios.tcgetattr(opened)
    except termios.error:
        return "is no serial port; expected one such as /dev/ttyUSB0"
    finally:
        os.close(opened)
    return None
