"""What tests share: running device code in MicroPython, one process per run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.layout import FROZEN, LIB, micropython_command

DEVICE_TESTS = Path(__file__).parent / "device"


@pytest.fixture
def on_device(tmp_path: Path) -> Callable[..., Any]:
    """Run a script of tests/device in MicroPython: its last line, JSON, is the result.

    `on_device("hmac_cases.py", cases)` hands `cases` over as JSON in a file, whose path is the
    script's first argument. The script sees lib/ and the frozen modules, nothing of the host.
    """

    def run(script: str, given: Any = None, *, heap: str = "2M", timeout: float = 60) -> Any:
        handed = tmp_path / "given.json"
        # MicroPython reads an escaped surrogate pair as two characters: hand text over as it is.
        handed.write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")
        done = subprocess.run(
            [*micropython_command(), "-X", f"heapsize={heap}", DEVICE_TESTS / script, handed],
            env={**os.environ, "MICROPYPATH": f"{LIB}:{FROZEN}:{DEVICE_TESTS}", "TZ": "UTC"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
