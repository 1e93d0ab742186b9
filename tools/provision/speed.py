"""How long a unit takes by the number of ports, on simulated boards behind 115,200 baud lines.

`.venv/bin/python -m tools.provision.speed`: the table of docs/factory.md. The boards are blank, so
all of the package goes over the line. Simulated boards take their share of the host's processor,
real ones do not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.image import build_image
from tools.provision.log import read_log

KEY = "a1ExpAkj9Hi"
BAUD = 115_200
SLOW = 19_200


def measure(folder: Path, bauds: Sequence[int]) -> tuple[float, list[float]]:
    """Provision a blank board at each port, whose line has that speed.

    Returns: seconds for all of them, and for each board.
    """
    folder.mkdir()
    csv = folder / "devices.csv"
    rows = [f"{KEY},SN-{number:04},secret{number}" for number in range(len(bauds))]
    csv.write_text("\n".join(["productKey,deviceName,deviceSecret", *rows]) + "\n")
    image = build_image(lib=None, boot=None, main=None, roots=[])
    words = []
    with ExitStack() as stack:
        for number, baud in enumerate(bauds):
            board = Board(image, folder / str(number), mac=f"246f28aabb{number:02x}")
            port = folder / f"tty{number}"
            link(stack.enter_context(SerialPort(board, baud=baud)).path, port)
            words += ["--port", str(port)]
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "tools.provision", str(csv), "--no-product", *words],
            env={**os.environ, "ALIYUN_IOT_RECORDS": str(folder)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.monotonic() - began
    log = read_log(folder / "devices.csv.log.jsonl")
    return seconds, [entry.seconds for entry in log if entry.status == "done"]


def main() -> int:
    """Print the table."""
    print("| ports | seconds for all | seconds a unit | units an hour |")
    print("|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        for ports in (1, 2, 4, 8):
            seconds, _ = measure(Path(name) / str(ports), [BAUD] * ports)
            each = seconds / ports
            print(f"| {ports} | {seconds:.1f} | {each:.1f} | {3600 / each:.0f} |", flush=True)
        _, each_board = measure(Path(name) / "slow", [BAUD] * 7 + [SLOW])
    *others, slowest = sorted(each_board)
    print(f"\nEight ports, one of them at {SLOW:,} baud: that one took {slowest:.1f} s, the ")
    print(f"others {others[0]:.1f} to {others[-1]:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
