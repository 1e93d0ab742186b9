"""Runs mpremote, pinned, as a subprocess: its command line is stable, its Python API is not."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.deploy.errors import DeployError

SCRIPTS = Path(__file__).parent / "on_board"
ANSWER = "@@"
STALLED = 40.0
"""Seconds without a word from mpremote after which the board counts as dead: it gives a board
10 s to reach the REPL, and a big file is one silent step."""

_EXCEPTION = re.compile(r"^(\w+(?:Error|Exception|Interrupt))\b:? ?(.*)$", re.MULTILINE)
_HARMLESS = ("OSError", "MemoryError", "ImportError", "KeyboardInterrupt")
"""Exceptions whose text is shown. That of a NameError may be a piece of a secret on its way to the
board, where the line lost bytes."""
_RECEIVED = re.compile(r"(?: \(response)?: b['\"].*")
"""What mpremote quotes of what came back: a REPL echoes what it is sent."""
_ERRORS = {"28": "the file system is full", "5": "the flash cannot be written", "30": "read-only"}


def command() -> list[str]:
    """The pinned mpremote of this environment."""
    return [sys.executable, "-m", "mpremote"]


def environment(home: Path) -> dict[str, str]:
    """Without the user's own mpremote configuration: it may redefine any command."""
    return {**os.environ, "XDG_CONFIG_HOME": str(home), "PYTHONUNBUFFERED": "1"}


class Mpremote:
    """One board's serial port, and a private folder for what is sent through it.

    `with Mpremote("/dev/ttyUSB0") as remote: ...`. Secrets travel in files of mode 0600 in that
    folder, never as arguments: every user of the host can read those.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="deploy-")  # made with mode 0700
        self.folder = Path(self._folder.name)
        self._files = 0

    def __enter__(self) -> Mpremote:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the private folder."""
        self._folder.cleanup()

    def file(self, content: bytes) -> Path:
        """A private file with this content, for `fs cp`."""
        self._files += 1
        path = self.folder / str(self._files)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return path

    def script(self, name: str, given: Mapping[str, Any]) -> list[str]:
        """The arguments that run a script of `on_board/`, without soft reset."""
        source = (SCRIPTS / f"{name}.py").read_text("utf-8")
        return ["run", str(self.file(f"given = {dict(given)!r}\n{source}".encode()))]

    def run(
        self,
        *steps: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        stalled: float = STALLED,
    ) -> list[str]:
        """Interrupt what the board runs, and do the steps in one connection: the lines printed.

        The board is not reset first: boot.py would make mpremote wait for Wi-Fi.
        on_line: called with each line as it comes. stalled: seconds of silence that end it.
        Raises DeployError.
        """
        arguments = ["connect", f"port:{self.port}", "resume"]
        for number, step in enumerate(steps):
            arguments += [*(["+"] if number else []), *step]
        process = subprocess.Popen(
            [*command(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(self.folder),
            start_new_session=True,  # Ctrl-C is for this program, which ends mpremote in order
        )
        lines: list[str] = []
        try:
            for line in _lines(process, stalled):
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        except TimeoutError:
            raise DeployError(
                f"{self.port}: the board stopped answering; unplug it, plug it in, try again"
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        if process.returncode:
            raise DeployError(self._explain("\n".join(lines)))
        return lines

    def ask(self, name: str, given: Mapping[str, Any]) -> list[Any]:
        """Run a script on the board: the values it answers. Raises DeployError."""
        return self.answers(self.run(self.script(name, given)))

    def answers(self, lines: Sequence[str]) -> list[Any]:
        """The values in lines that scripts printed. Raises DeployError for a torn line."""
        found = []
        for line in lines:
            _, mark, text = line.partition(ANSWER)
            if mark:
                try:
                    found.append(json.loads(text))
                except ValueError:
                    raise DeployError(
                        f"{self.port}: the answer is garbled; check cable and power"
                    ) from None
        return found

    def _explain(self, said: str) -> str:
        """What mpremote's failure means, without anything that may have been sent to the board."""
        port = self.port
        gone = "SerialException" in said or "termios.error" in said or "Errno 5" in said
        if "failed to access" in said:
            if not Path(port).exists() and "/" in port:
                return f"{port}: no such port; is the board plugged in?"
            return (
                f"{port}: cannot be opened: another program has it, or this user may not "
                "(Linux: add it to the group dialout)"
            )
        if "could not enter raw repl" in said:
            return (
                f"{port}: something answers, but not a MicroPython prompt; flash a stock firmware "
                "first (make flash), or press the board's reset button and try again"
            )
        if gone or not Path(port).exists():
            return f"{port}: the board was unplugged, or its port went away"
        found = _EXCEPTION.findall(said)
        if found:
            kind, text = found[-1]
            code = re.match(r"(?:\[Errno )?(\d+)", text)
            known = _ERRORS.get(code[1]) if kind == "OSError" and code else None
            return f"{port}: {known or (f'{kind}: {text}' if kind in _HARMLESS else kind)}"
        lines = [line for line in said.splitlines() if line.strip()]
        last = lines[-1] if lines else "mpremote failed without a word"
        if "No space left on device" in last:
            return f"{port}: the file system is full"
        if not last.startswith("mpremote"):
            return f"{port}: mpremote failed, with what the board sent last"
        return f"{port}: {_RECEIVED.sub('', last).removeprefix('mpremote: ')}"


def _lines(process: subprocess.Popen[bytes], stalled: float) -> Iterator[str]:
    """Lines as they come. Raises TimeoutError after `stalled` seconds without any output."""
    assert process.stdout is not None
    stream = process.stdout
    pieces: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        with contextlib.suppress(ValueError, OSError):
            while piece := os.read(stream.fileno(), 4096):
                pieces.put(piece)
        pieces.put(b"")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    rest = b""
    until = time.monotonic() + stalled
    while True:
        try:
            piece = pieces.get(timeout=max(0, until - time.monotonic()))
        except queue.Empty:
            process.kill()
            raise TimeoutError from None
        if not piece:
            break
        until = time.monotonic() + stalled
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")
    stream.close()
