"""Where things lie in the repository and in the environment `make setup` builds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "lib"
PACKAGE = LIB / "aliyun_iot"
ROOTS = ROOT / "firmware" / "roots"
BUILD = ROOT / "build"
FROZEN = ROOT / ".venv" / "frozen"
"""Modules that stock ESP32 firmware freezes and the unix port lacks, as sources from PyPI."""


def micropython_command() -> list[str]:
    """The interpreter that stands for the chip: the pinned unix port, or $MICROPYTHON.

    Returns: the start of an argument list, to which options and a script are added.
    """
    chosen = os.environ.get("MICROPYTHON")
    if chosen:
        return [chosen]
    return [str(Path(sys.executable).with_name("micropython"))]
