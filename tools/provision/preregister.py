"""The list of DeviceNames that the platform's console imports, read from the boards themselves."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.deploy import DeployError, Mpremote, read_state
from tools.flash import FlashError, run_esptool
from tools.image.rules import NAME
from tools.provision.errors import ProvisionError
from tools.provision.table import read_rows

HEADER = ("DeviceName", "Nickname")
"""Of the console's template ("Batch Add", "Batch Upload"), whose first row must stay as it is:
`template` takes it from the file that the console offers for download."""
_MAC = re.compile(r"^\s*MAC:\s*([0-9a-f:]{17})\s*$", re.MULTILINE)


def board_mac(port: str, blank: bool = False) -> str:
    """MAC address of the board at a port: 12 hex digits. Raises ProvisionError.

    blank: the chip has no firmware yet; ask its boot loader.
    """
    try:
        if blank:
            match = _MAC.search(run_esptool(["--port", port, "read-mac"], timeout=60))
            mac = match[1].replace(":", "") if match else ""
        else:
            with Mpremote(port) as remote:
                mac = read_state(remote, [], []).mac
    except (DeployError, FlashError) as e:
        raise ProvisionError(str(e)) from None
    if not mac:
        raise ProvisionError(f"{port}: the board does not tell its MAC address")
    return mac


def read_names(
    ports: Sequence[str], prefix: str = "", blank: bool = False
) -> tuple[list[str], list[str]]:
    """DeviceNames of the boards at these ports, and what went wrong at the others."""

    def ask(port: str) -> tuple[str, str]:
        try:
            name = prefix + board_mac(port, blank)
        except ProvisionError as e:
            return "", str(e)
        if not NAME.fullmatch(name):
            return "", f"{port}: {name}: expected 4 to 32 of letters, digits, - _ @ . :"
        return name, ""

    with ThreadPoolExecutor(max(1, len(ports))) as pool:
        answers = list(pool.map(ask, ports))
    return [name for name, _ in answers if name], [wrong for _, wrong in answers if wrong]


def add_names(path: Path, names: Sequence[str], template: Path | None = None) -> int:
    """Add DeviceNames to the list at `path`, each once: how many are new.

    template: file with the first row to use. Raises ProvisionError, OSError.
    """
    source = path if path.exists() else template
    rows = read_rows(source) if source else []
    header = rows[0] if rows else list(HEADER)
    if not header:
        raise ProvisionError(f"{source}: the first row is empty; expected the template's")
    old = [row for row in rows[1:] if row and row[0].strip()] if source == path else []
    present = {row[0].strip() for row in old}
    new = [name for name in dict.fromkeys(names) if name not in present]
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(old)
        writer.writerows([name, *[""] * (len(header) - 1)] for name in new)
    partial.replace(path)
    return len(new)
