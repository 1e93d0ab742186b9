"""Runs esptool, pinned, as a subprocess, and builds its arguments."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.deploy.line import why_closed
from tools.flash.errors import FlashError
from tools.image import parse_size

BAUD = 460800
Parts = Sequence[tuple[int, Path]]
"""What goes where: offset in the flash, file."""

_CONNECTED = re.compile(r"Connected to (\S+) on")
_SIZE = re.compile(r"Detected flash size: (\S+)")
_MAC = re.compile(r"^\s*MAC:\s*([0-9a-f:]{17})\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Chip:
    """What esptool found at a port. name: as `--chip` takes it. mac: 12 hex digits."""

    name: str
    flash_size: int
    mac: str


def command() -> list[str]:
    """The pinned esptool of this environment."""
    return [sys.executable, "-m", "esptool"]


def run_esptool(
    arguments: Sequence[str],
    *,
    timeout: float = 600,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run it: what it printed. Raises FlashError."""
    process = subprocess.Popen(
        [*command(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if on_line is not None and line.strip():
                on_line(line.rstrip())
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise FlashError("esptool did not end") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    said = "\n".join(lines)
    if process.returncode:
        raise FlashError(_explain(said))
    return said


def _explain(said: str) -> str:
    """What esptool's failure means, in one sentence."""
    _, _, error = said.rpartition("A fatal error occurred: ")
    why = " ".join(error.split()) or "esptool failed without a word"
    why = re.sub(r"\.? *For troubleshooting steps visit:? *\S+", "", why).rstrip(".")
    if "Failed to connect" in why or "No serial data" in why:
        return f"{why}; hold the board's BOOT button while it begins, and check the cable"
    return why


def detect_chip(port: str) -> Chip:
    """Ask the chip behind a port what it is. Raises FlashError."""
    try:
        said = run_esptool(["--port", port, "flash-id"], timeout=60)
    except FlashError as e:
        raise FlashError(f"{port}: {why_closed(port) or e}") from None
    return parse_chip(said)


def parse_chip(said: str) -> Chip:
    """What `esptool flash-id` printed about the chip. Raises FlashError."""
    name = _CONNECTED.search(said)
    size = _SIZE.search(said)
    mac = _MAC.search(said)
    if name is None or size is None or size[1] == "Unknown":
        raise FlashError("esptool does not say how much flash the chip has; check the wiring")
    return Chip(
        name[1].lower().replace("-", ""),
        parse_size(size[1]),
        mac[1].replace(":", "") if mac else "",
    )


def write_arguments(
    chip: str, port: str, parts: Parts, *, baud: int = BAUD, erase: bool = False
) -> list[str]:
    """Arguments that write `parts` to a chip, which checks what it wrote, and start it."""
    return [
        *("--chip", chip, "--port", port, "--baud", str(baud), "write-flash"),
        *(["--erase-all"] if erase else []),
        *_places(parts),
    ]


def merge_arguments(chip: str, parts: Parts, output: Path) -> list[str]:
    """Arguments that write one file with `parts` where they belong, from the flash's start."""
    return ["--chip", chip, "merge-bin", "--output", str(output), *_places(parts)]


def read_arguments(port: str, offset: int, size: int, output: Path, baud: int = BAUD) -> list[str]:
    """Arguments that copy a part of the flash to a file."""
    where = [f"{offset:#x}", f"{size:#x}", str(output)]
    return ["--port", port, "--baud", str(baud), "read-flash", *where]


def _places(parts: Parts) -> list[str]:
    return [text for offset, path in sorted(parts) for text in (f"{offset:#x}", str(path))]
