"""Runs mpremote, pinned, as a subprocess: its command line is stable, its Python API is not."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.deploy.errors import DeployError, DisturbedError, SilentError
from tools.deploy.line import apart, why_closed
from tools.private import PrivateFolder

SCRIPTS = Path(__file__).parent / "on_board"
ANSWER = "@@"
STALLED = 40.0
"""Seconds without a word from mpremote after which the board counts as dead: it gives a board
10 s to reach the REPL, and a big file is one silent step."""

ATTEMPTS = 3
"""How often a step is tried that something else on the line disturbed."""

_EXCEPTION = re.compile(r"^(\w+(?:Error|Exception|Interrupt))\b:? ?(.*)$", re.MULTILINE)
_HARMLESS = ("OSError", "MemoryError", "ImportError", "KeyboardInterrupt")
"""Exceptions whose text is shown. That of a NameError may be a piece of a secret on its way to the
board, where the line lost bytes."""
_RECEIVED = re.compile(r"(?: \(response)?: b['\"].*")
"""What mpremote quotes of what came back: a REPL echoes what it is sent."""
_DISTURBED = re.compile(
    r"(?:raw paste|could not exec command|EOF reception|malformed node or string"
    r"|invalid literal|non-hexadecimal)"
)
"""What mpremote says where bytes that it did not expect came between its own."""
_ERRORS = {"28": "the file system is full", "5": "the flash cannot be written", "30": "read-only"}


_running: set[subprocess.Popen[bytes]] = set()
_abandoned = threading.Event()


def abandon() -> None:
    """End every mpremote, and let none begin: this program is ending, from another thread."""
    _abandoned.set()
    for process in list(_running):
        process.kill()


def command() -> list[str]:
    """The pinned mpremote of this environment, which ends when its standard input does."""
    return [sys.executable, str(Path(__file__).with_name("run_mpremote.py"))]


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
        self._folder = PrivateFolder()
        self.folder = self._folder.path
        self._files = 0
        self._secrets: set[str] = set()

    def __enter__(self) -> Mpremote:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the private folder."""
        self._folder.close()

    def file(self, content: bytes) -> Path:
        """A private file with this content, for `fs cp`."""
        self._files += 1
        self._secrets |= _texts(content)
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
        if _abandoned.is_set():
            raise DeployError(f"{self.port}: this run was ended")
        process = subprocess.Popen(
            [*command(), *arguments],
            stdin=subprocess.PIPE,  # its leash
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(self.folder),
            start_new_session=True,  # Ctrl-C is for this program, which ends mpremote in order
        )
        _running.add(process)
        lines: list[str] = []
        noisy = False
        try:
            for line, is_log in apart(_lines(process, stalled)):
                noisy = noisy or is_log
                if is_log:
                    continue
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        except TimeoutError:
            raise SilentError(
                f"{self.port}: the board stopped answering; unplug it, plug it in, try again"
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            _running.discard(process)
            assert process.stdin is not None
            process.stdin.close()
        if process.returncode:
            if _abandoned.is_set():
                raise DeployError(f"{self.port}: this run was ended")
            said = "\n".join(lines)
            kind = DisturbedError if disturbed(said, noisy) else DeployError
            raise kind(self._scrubbed(self._explain(said)))
        return lines

    def ask(
        self,
        name: str,
        given: Mapping[str, Any],
        *,
        on_answer: Callable[[Any], None] | None = None,
        stalled: float = STALLED,
    ) -> list[Any]:
        """Run a script on the board: the values it answers. Raises DeployError.

        The scripts may be run again: where something came between, they are.
        on_answer: called with each value as it comes.
        """

        def on_line(line: str) -> None:
            if on_answer is not None:
                for answer in self.answers([line]):
                    on_answer(answer)

        for attempt in range(1, ATTEMPTS + 1):
            try:
                script = self.script(name, given)
                return self.answers(self.run(script, on_line=on_line, stalled=stalled))
            except DisturbedError:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("not reached")

    def answers(self, lines: Sequence[str]) -> list[Any]:
        """The values in lines that scripts printed. Raises DisturbedError for a torn line."""
        found = []
        for line in lines:
            _, mark, text = line.partition(ANSWER)
            if mark:
                try:
                    found.append(json.loads(text))
                except ValueError:
                    raise DisturbedError(
                        f"{self.port}: the answer is garbled; check cable and power"
                    ) from None
        return found

    def _scrubbed(self, text: str) -> str:
        """The text without any value that was sent to the board in a JSON file."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _explain(self, said: str) -> str:
        """What mpremote's failure means, without anything that may have been sent to the board."""
        port = self.port
        gone = "SerialException" in said or "termios.error" in said or "Errno 5" in said
        if "failed to access" in said:
            return f"{port}: {why_closed(port) or 'another program has it'}"
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
        if "No space left on device" in said:
            return f"{port}: the file system is full"
        own = [line for line in said.split("\n") if line.startswith("mpremote")]
        if own:
            last = _RECEIVED.sub("", own[-1]).removeprefix("mpremote: ").strip()
            return f"{port}: mpremote: {last.removeprefix('mpremote.transport.')}"
        return f"{port}: mpremote failed, and said nothing of its own; try again"


def disturbed(said: str, noisy: bool = False) -> bool:
    """Whether mpremote failed because something else came over the line, not the board itself.

    noisy: whether the firmware's log was seen.
    """
    if 'File "<stdin>"' in said or "SerialException" in said:
        return False
    return bool(_DISTURBED.search(said)) or (noisy and "could not enter raw repl" in said)


def _texts(content: bytes) -> set[str]:
    """Every text value of a JSON file that is long enough to be a secret."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # code, a certificate
        return set()
    found = set()
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif isinstance(item, str) and len(item) >= 4:
            found.add(item)
    return found


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
