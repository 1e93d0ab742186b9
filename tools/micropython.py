"""Runs one script in MicroPython on this machine: no board, no flash image, nothing to reset."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.layout import FROZEN, LIB, micropython_command


class ScriptError(Exception):
    """The script ended with an error; the message is what it printed."""


def run_script(
    script: Path, given: Any, *, heap: str, path: Iterable[Path] = (), timeout: float = 300
) -> str:
    """Run `script` with the package and the firmware's own modules on its path: what it printed.

    given: what the script reads as JSON from the file that it is given as argument. heap: as
    MicroPython takes it, "64wK". path: more folders, which come first. timeout: seconds.
    Raises ScriptError, subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as folder:
        argument = Path(folder) / "given.json"
        # MicroPython reads an escaped surrogate pair as two characters: hand text over as it is.
        argument.write_text(json.dumps(given, ensure_ascii=False), "utf-8")
        done = subprocess.run(
            [*micropython_command(), "-X", f"heapsize={heap}", script, argument],
            env={
                **os.environ,
                "MICROPYPATH": ":".join(map(str, (*path, LIB, FROZEN))),
                "TZ": "UTC",
            },
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    if done.returncode:
        raise ScriptError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout
