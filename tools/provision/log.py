"""What became of each unit: one line of JSON an event, never a secret.

The file is what an interrupted run goes on from. Every line is on disk before the next step
begins; a line that a crash tore in two is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from tools.provision.errors import ProvisionError

Status = Literal["started", "done", "failed"]


@dataclass(frozen=True)
class Entry:
    """One event. unit: number of the row, 0 where none was taken. seconds: since its start."""

    time: str
    status: Status
    mac: str
    port: str
    unit: int = 0
    name: str = ""
    reason: str = ""
    seconds: float = 0.0
    firmware: str = ""
    package: str = ""


def read_log(path: Path) -> list[Entry]:
    """The whole lines of a log, oldest first; empty if there is none."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().split(b"\n"):  # a name may hold any other separator
        try:
            fields = json.loads(line)
            entry = Entry(**fields)
        except (ValueError, TypeError):
            continue
        if entry.status in get_args(Status):
            entries.append(entry)
    return entries


class ResultLog:
    """The log of one production run, held by one process at a time. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises ProvisionError when another process has it."""
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ProvisionError(f"{path}: another run is writing it") from None
        self.entries = read_log(path)
        self.standing = standing(self.entries)
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")

    def add(
        self,
        status: Status,
        mac: str,
        port: str,
        *,
        unit: int = 0,
        name: str = "",
        reason: str = "",
        seconds: float = 0.0,
        firmware: str = "",
        package: str = "",
    ) -> None:
        """Write one event, and have it on disk on return."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        seconds = round(seconds, 1)
        entry = Entry(now, status, mac, port, unit, name, reason, seconds, firmware, package)
        line = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self.entries.append(entry)
            self.standing.add(entry)
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> ResultLog:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()


class Standing:
    """Where a run stands, entry by entry.

    A unit is known by its name, not by its line: lines may be sorted between two runs.
    """

    def __init__(self) -> None:
        self.done: dict[str, Entry] = {}
        """By MAC."""
        self.claims: dict[str, str] = {}
        """Name of a unit -> MAC of the board it was begun on last, done or not."""
        self.finished: dict[str, Entry] = {}
        """By name of the unit."""
        self._last: dict[str, Entry] = {}
        self._names: dict[tuple[int, str], str] = {}

    def add(self, entry: Entry) -> None:
        """Take the next entry of the log."""
        self._last[entry.mac or entry.port] = entry
        if entry.unit and entry.status == "started":
            self._names[entry.unit, entry.mac] = entry.name
            self.claims[entry.name] = entry.mac
        if entry.status == "done":
            self.done[entry.mac] = entry
            self.finished[self.unit(entry)] = entry

    def unit(self, entry: Entry) -> str:
        """Name of the unit that an entry is about: in product mode the board has another."""
        return self._names.get((entry.unit, entry.mac), entry.name)

    @property
    def failed(self) -> list[Entry]:
        """The last word on each board that is not done."""
        return [entry for entry in self._last.values() if entry.status != "done"]


def standing(entries: Sequence[Entry]) -> Standing:
    """Read the log as a whole."""
    made = Standing()
    for entry in entries:
        made.add(entry)
    return made
