"""How a command ends: its exit status, and one line on what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tools import interrupted


def run(work: Callable[[], int], *expected: type[Exception]) -> int:
    """Do `work` and return its exit status: 1 after an error, 130 after Ctrl-C.

    expected: exceptions whose text is a sentence for the person at the keyboard.
    """
    try:
        return work()
    except expected as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        what = f"{e.filename}: {e.strerror}" if e.filename is not None else str(e)
        print(f"error: {what}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        interrupted()
        return 130
