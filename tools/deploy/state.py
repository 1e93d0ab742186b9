"""What a board is and holds, asked over its serial line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.deploy.errors import DeployError
from tools.deploy.mpremote import Mpremote

OLDEST = (1, 23)
NEWEST = (1, 29)
"""Oldest firmware that works, and the newest known: .mpy version 6.3 since 1.23."""
MPY_VERSION = 6


@dataclass(frozen=True)
class FileState:
    """size: bytes. sha256: hex digits; None where it was not asked for.

    identity: as `identity_hash` gives it; None where it was not asked for, or is not whole.
    """

    size: int
    sha256: str | None
    identity: str | None = None


@dataclass(frozen=True)
class BoardState:
    """One board, as it was asked."""

    port: str
    name: str
    """Of the interpreter: "micropython"."""
    version: tuple[int, ...]
    platform: str
    machine: str
    mpy: int
    mac: str
    files: dict[str, FileState]
    block: int = 4096
    free: int = 0
    folders: frozenset[str] = frozenset()
    """Those that were seen; what is in them is listed below /lib and /roots only."""
    package: str | None = None
    """Version of the package that was installed last, as build.json says."""

    @property
    def firmware(self) -> str:
        """Such as "MicroPython 1.28.0"."""
        name = "MicroPython" if self.name == "micropython" else self.name
        return f"{name} {'.'.join(map(str, self.version))}"


def identity_hash(record: Mapping[str, str]) -> str:
    """Tells a device certificate whoever wrote it: the board adds its place, and a check."""
    own = sorted(name for name in record if name not in ("place", "check"))
    text = "\n".join(f"{name}={record[name]}" for name in own)
    return hashlib.sha256(text.encode()).hexdigest()


def read_state(
    remote: Mpremote,
    folders: Iterable[str],
    hashed: Iterable[str],
    identities: Iterable[str] = (),
) -> BoardState:
    """Ask the board. folders: to list, with all below them, of "/" only itself.
    hashed: files, or whole folders, to hash. identities: files that hold one, see `FileState`.

    Raises DeployError.
    """
    firmware: dict[str, Any] = {}
    flash: dict[str, int] = {}
    files: dict[str, FileState] = {}
    seen: set[str] = set()
    package: str | None = None
    ended = False
    given = {"folders": list(folders), "hash": list(hashed), "identities": list(identities)}
    for kind, value in remote.ask("state", given):
        if kind == "firmware":
            firmware = value
        elif kind == "flash":
            flash = value
        elif kind == "file":
            files[value[0]] = FileState(*value[1:])
        elif kind == "folder":
            seen.add(value)
        elif kind == "package":
            package = str(value)
        ended = kind == "end"
    if not ended:
        raise DeployError(f"{remote.port}: the board did not say all it was asked")
    return BoardState(
        remote.port,
        firmware["name"],
        tuple(firmware["version"]),
        firmware["platform"],
        firmware["machine"],
        firmware["mpy"],
        firmware["mac"],
        files,
        flash.get("block", 4096),
        flash.get("free", 0),
        frozenset(seen),
        package,
    )


def check_firmware(state: BoardState) -> str | None:
    """Whether the package runs on this firmware: None, or a remark. Raises DeployError."""
    if state.name != "micropython":
        raise DeployError(
            f"{state.port}: the board runs {state.firmware}; expected MicroPython "
            "(flash a stock firmware with make flash)"
        )
    if state.platform != "esp32":
        raise DeployError(
            f"{state.port}: this is MicroPython for {state.platform} ({state.machine}); "
            "expected esp32"
        )
    if state.version[:2] < OLDEST:
        raise DeployError(
            f"{state.port}: {state.firmware} is too old; expected 1.23 or later "
            "(flash a newer one with make flash)"
        )
    if state.mpy & 0xFF != MPY_VERSION:
        raise DeployError(
            f"{state.port}: this firmware loads .mpy version {state.mpy & 0xFF}; the package is "
            f"compiled to version {MPY_VERSION}"
        )
    if state.version[:2] > NEWEST:
        return f"{state.firmware} is newer than what the package was tested with"
    return None
