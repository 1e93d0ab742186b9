"""`python -m tools.iot_platform` in a process of its own."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_clients import PK, PS, SUB

from tools.layout import ROOT

DN = "Example_dyn1"
GATEWAY = "a1Gateway01"
FREE_PORTS = [
    "--https-port",
    "0",
    "--mqtt-tls-port",
    "0",
    "--mqtt-port",
    "0",
    "--console-port",
    "0",
]
PRODUCTS = [
    {"productKey": PK, "productSecret": PS, "devices": [DN]},
    {
        "productKey": GATEWAY,
        "nodeType": "gateway",
        "devices": [{"deviceName": "gateway01", "deviceSecret": "gatewaySecret"}],
    },
    {"productKey": SUB, "dynamicRegistration": False, "devices": ["sub001", "sub002"]},
]
DEADLINE = 20.0


@pytest.fixture
def products(tmp_path: Path) -> Path:
    path = tmp_path / "products.json"
    path.write_text(json.dumps(PRODUCTS))
    return path


class Running:
    """A platform in a process of its own; its lines are read as they come."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.iot_platform", *FREE_PORTS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            # A job in the background would hand on that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"},
        )
        self.output = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(text)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line that has the pattern."""
        while True:
            text = self._lines.get(timeout=DEADLINE)
            self.output += text
            if match := re.search(pattern, text):
                return match

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """Ends the process if it still runs."""
        self.process.kill()
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> int:
        """Waits for the process; returns its exit code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        while not self._lines.empty():
            self.output += self._lines.get()
        return code


@pytest.fixture
def start_platform() -> Iterator[type[Running]]:
    started: list[Running] = []

    class Noted(Running):
        def __init__(self, *arguments: str | Path) -> None:
            super().__init__(*arguments)
            started.append(self)

    yield Noted
    for running in started:
        running.close()
