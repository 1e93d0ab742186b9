"""Boards behind a serial port: simulated ones, or the real one that `pytest --port` names."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy import Mpremote
from tools.deploy.state import read_state
from tools.image import build_image
from tools.layout import ROOT

FOLDERS = ("/", "/lib", "/lib/aliyun_iot", "/roots")
TOOL_DEADLINE = 90
BIG = 100_000


class PluggedBoard:
    """A board that tools reach by its `port`. `simulated` is None for a real one."""

    def __init__(self, port: str, simulated: Board | None = None) -> None:
        self.port = port
        self.simulated = simulated
        self.line: SerialPort | None = None

    def read(self, path: str) -> bytes | None:
        """A file on it; the simulated board goes on running."""
        if self.simulated is not None:
            return self.simulated.read(path)
        with Mpremote(self.port) as remote:
            target = remote.folder / "read"
            try:
                remote.run(["fs", "cp", f":{path}", str(target)])
            except Exception:
                return None
            return target.read_bytes()

    def files(self) -> set[str]:
        """Paths of the files in the folders that the tools look after."""
        if self.simulated is not None:
            return set(self.simulated.files())
        with Mpremote(self.port) as remote:
            return set(read_state(remote, FOLDERS, []).files)

    def unplug(self) -> None:
        """Cut power and line at once; the port is gone, as after any unplugging.

        Its number may be another board's in a moment: nothing must find it by this name.
        """
        assert self.line is not None
        Path(self.port).unlink(missing_ok=True)
        self.line.close()

    @contextmanager
    def unplugged_later(self, delay: float = 0) -> Iterator[threading.Event]:
        """Unplug it while a tool runs, `delay` seconds after the event is set: see `run_tool`."""
        now = threading.Event()

        def unplug() -> None:
            now.wait(TOOL_DEADLINE)
            time.sleep(delay)
            self.unplug()

        hand = threading.Thread(target=unplug)
        hand.start()
        try:
            yield now
        finally:
            now.set()
            hand.join()


class PlugIn(Protocol):
    def __call__(
        self, files: Mapping[str, bytes | None] | None = ..., **board: Any
    ) -> PluggedBoard: ...


@pytest.fixture
def plug_in(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PlugIn]:
    """Plug a board in that holds `files` (None: surely not) and nothing else of ours.

    Further arguments are those of `Board`, and there are only simulated boards then.
    """
    real: str | None = request.config.getoption("--port")
    ports: list[SerialPort] = []
    plugged = 0

    def plug(files: Mapping[str, bytes | None] | None = None, **board: Any) -> PluggedBoard:
        nonlocal plugged
        wanted = dict(files or {})
        plugged += 1
        if real and (board or plugged > 1):
            pytest.skip("needs a simulated board")
        if real and any(len(content or b"") > BIG for content in wanted.values()):
            pytest.skip("takes too long over a serial line")
        if real:
            return _lay_out(real, wanted)
        number = len(ports)
        image = board.pop("image", None) or build_image(
            lib=None,
            boot=None,
            main=None,
            roots=[],
            files={path: content for path, content in wanted.items() if content is not None},
        )
        folder = tmp_path / f"board{number}"
        simulated = Board(image, folder, **{"mac": f"246f28aabb{number:02x}", **board})
        line = SerialPort(simulated)
        line.__enter__()
        ports.append(line)
        port = tmp_path / f"ttySIM{number}"
        link(line.path, port)
        made = PluggedBoard(str(port), simulated)
        made.line = line
        return made

    yield plug
    for line in ports:
        line.close()


def _lay_out(port: str, wanted: Mapping[str, bytes | None]) -> PluggedBoard:
    """Bring a real board to the state that a test starts from."""
    with Mpremote(port) as remote:
        present = set(read_state(remote, FOLDERS, []).files)
        remove = [path for path in present if wanted.get(path) is None]
        folders = {path.rpartition("/")[0] for path in wanted} | {"/lib", "/lib/aliyun_iot"}
        given = {"folders": sorted(folders - {""}), "remove": remove}
        steps = [remote.script("prepare", given)]
        for path, content in wanted.items():
            if content is not None:
                steps.append(["fs", "cp", "-f", str(remote.file(content)), f":{path}"])
        remote.run(*steps)
    return PluggedBoard(port)


@dataclass(frozen=True)
class ToolRun:
    """What a command came to: stdout and stderr in the order they came."""

    status: int
    output: str
    seconds: float


def run_tool(
    module: str,
    *arguments: str | Path,
    typed: str = "",
    variables: Mapping[str, str] | None = None,
    watch: threading.Event | None = None,
    until: str = "",
    then: tuple[threading.Event, str] | None = None,
) -> ToolRun:
    """Run `python -m module arguments...` from the repository's root.

    typed: its standard input. watch: set as soon as the output holds `until`. then: another event
    and text.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200", **(variables or {})},
    )
    assert process.stdin is not None and process.stdout is not None
    killer = threading.Timer(TOOL_DEADLINE, process.kill)
    killer.start()
    try:
        process.stdin.write(typed)
        process.stdin.close()
        output = ""
        for line in process.stdout:
            output += line
            if watch is not None and until in output:
                watch.set()
            if then is not None and then[1] in output:
                then[0].set()
        process.wait()
    finally:
        killer.cancel()
        process.stdout.close()
    return ToolRun(process.returncode, output, time.monotonic() - began)
