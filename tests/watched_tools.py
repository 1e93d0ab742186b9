"""Runs the tools as a user does, and searches all they say, start and leave behind for secrets.

Every Python process of a run, however deep, notes its own arguments and those of whatever it
starts, with the environment: the interpreter's audit events tell, so nothing goes unseen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from serial_boards import ToolRun, run_tool

from tools.faults.secrets import Secrets
from tools.private import write_private

CRASHED = "made to crash"
_START = f"""
import builtins, json, os, sys, threading

_busy = threading.local()
_crash = os.environ.pop("WATCH_CRASH", "").split(" ")


def _note(*what):
    line = json.dumps([str(word) for word in what]) + "\\n"
    file = os.open(os.environ["WATCH_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


def _hook(event, arguments):
    if event.split(".")[0] not in ("subprocess", "os", "open") or getattr(_busy, "now", False):
        return
    _busy.now = True
    try:
        if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"):
            _note("started", event, arguments, dict(os.environ))
        if len(_crash) > 2 and event == _crash[1] and _crash[2] in str(arguments):
            kind = _crash.pop(0)
            raise getattr(builtins, kind)("{CRASHED}")
    finally:
        _busy.now = False


_note("runs", sys.orig_argv, dict(os.environ))
sys.addaudithook(_hook)
"""


class Watched:
    """A folder to work in, and the secrets that may be in it."""

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        """secrets: what each is -> its value."""
        self.folder = folder
        self.secrets = Secrets()
        self._values = dict(secrets)
        for name, value in secrets.items():
            self.secrets.add(name, value)
        self._site = folder / "site"
        self._temporary = folder / "temporary"
        self._journal = folder / "journal"
        for path in (self._site, self._temporary):
            path.mkdir()
        (self._site / "sitecustomize.py").write_text(_START)

    def file(self, name: str, text: str | bytes) -> Path:
        """Make a file that a tool is given; it may hold secrets."""
        path = self.folder / name
        write_private(path, text.encode() if isinstance(text, str) else text)
        return path

    def module(self, name: str, source: str) -> None:
        """Put a module of that name in place of the one a tool would run."""
        (self._site / f"{name}.py").write_text(source)

    def environment(self, crash: str = "") -> dict[str, str]:
        """What a process needs to be watched."""
        return {
            "PYTHONPATH": str(self._site),
            "PYTHONDEVMODE": "1",
            "TMPDIR": str(self._temporary),
            "WATCH_JOURNAL": str(self._journal),
            **({"WATCH_CRASH": crash} if crash else {}),
        }

    def run(
        self, module: str, *arguments: str | Path, crash: str = "", typed: str = ""
    ) -> ToolRun:
        """Run `python -m module`, in development mode; fails where a secret is seen.

        crash: "exception event text": what is raised as soon as the tool comes to that audit
        event with that text in its arguments. typed: its standard input.
        """
        done = run_tool(module, *arguments, typed=typed, variables=self.environment(crash))
        assert bool(crash) == (CRASHED in done.output or done.status == 130), done.output
        self.check(done.output)
        return done

    def check(self, said: str) -> None:
        """Fails where a secret is in `said`, in a process's arguments, or open to others."""
        __tracebackhide__ = True
        for text in (said, re.sub(r"\s", "", said)):  # a table may have broken it in two
            if found := self.secrets.seen_in(text):
                pytest.fail(f"said: {found}")
        if found := self.secrets.seen_in(self.journal()):
            pytest.fail(f"in the arguments or the environment of a process: {found}")
        for path in self._holding(self.folder):
            if path.is_relative_to(self._temporary):
                pytest.fail(f"left behind: {path}")
            if path.stat().st_mode & 0o077:
                pytest.fail(f"others can read {path}")

    def journal(self) -> str:
        """Arguments and environments of all processes so far."""
        return self._journal.read_text() if self._journal.exists() else ""

    def _holding(self, folder: Path) -> list[Path]:
        """The files that hold a secret."""
        values = [value.encode() for value in self._values.values()]
        found = []
        for root, _, names in os.walk(folder):
            for path in (Path(root, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    data = path.read_bytes()
                    if any(value in data for value in values):
                        found.append(path)
        return found
