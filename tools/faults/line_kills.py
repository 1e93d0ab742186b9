"""`kill -9` of a production line at random moments: no unit lost, doubled or half-provisioned."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.faults.tally import Tally
from tools.image import build_image, image_files
from tools.image.records import check_of
from tools.private import PREFIX
from tools.provision.log import read_log, standing

KEY = "a1ExpAkj9Hi"
BOARDS = 2
"""At the line at once."""
_DEADLINE = 120
_STALE = "/lib/aliyun_iot/errors.mpy"
"""The file of an older release, so that a run has code to write, not only an identity."""


def _secret(unit: int) -> str:
    return f"secretOfUnit{unit:04}"


class _Line:
    """A CSV, its boards, and the command that provisions them."""

    def __init__(self, folder: Path, units: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.csv = folder / "devices.csv"
        rows = [f"{KEY},SN-{unit:04},{_secret(unit)}" for unit in range(units)]
        self.csv.write_text("\n".join(["productKey,deviceName,deviceSecret", *rows]) + "\n")
        self.log = folder / "devices.csv.log.jsonl"

    def start(self, ports: Sequence[Path]) -> subprocess.Popen[bytes]:
        """A production run, in a process of its own."""
        words = [text for port in ports for text in ("--port", str(port))]
        return subprocess.Popen(
            [sys.executable, "-m", "tools.provision", str(self.csv), "--no-product", *words],
            env={**os.environ, "TMPDIR": str(self.temporary), "ALIYUN_IOT_RECORDS": "/dev/null"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def finish(self, ports: Sequence[Path]) -> tuple[int, str]:
        """A run that is left alone: its exit status, and what it said."""
        process = self.start(ports)
        said, _ = process.communicate(timeout=_DEADLINE)
        return process.returncode, said.decode("utf-8", "replace")


def kills(folder: Path, moments: int, seed: int = 1) -> Tally:
    """Kill a run, and run it again, `moments` times, with two fresh boards each time.

    One CSV and one log for all of them, as in a factory. The moments lie anywhere between the
    start of a run and its end.
    """
    tally = Tally(f"kill -9 of a production run with {BOARDS} boards")
    chance = random.Random(seed)
    line = _Line(folder / "line", moments * BOARDS)
    image = build_image(roots=[], files={_STALE: b"of an older release"})
    length = 1.0  # seconds of a run, learned from those that were left alone
    owners: dict[str, str] = {}
    for moment in range(moments):
        where = f"moment {moment} of seed {seed}"
        with ExitStack() as stack:
            ports, boards = [], []
            for number in range(BOARDS):
                mac = f"246f28{moment:04x}{number:02x}"
                board = Board(image, folder / mac, mac=mac)
                port = folder / f"tty{mac}"
                link(stack.enter_context(SerialPort(board)).path, port)
                boards.append(board)
                ports.append(port)
            process = line.start(ports)
            time.sleep(chance.uniform(0.1, 1) * length)
            ended = process.poll() is not None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            begun = sum(board.read("/device.json") is not None for board in boards)
            early = _claimed_too_early(line, boards)
            began = time.monotonic()
            status, said = line.finish(ports)
            length += (time.monotonic() - began - length) / 4
            if status or early:
                tally.problem(f"{where}: {early or said[-400:]}")
            for board in boards:
                wrong = _wrong(board, owners)
                if wrong:
                    tally.problem(f"{where}: {board.mac}: {wrong}")
        tally.note("after its end" if ended else f"with {begun} of {BOARDS} identities written")
    left = [path.name for path in line.temporary.glob(f"{PREFIX}*")]
    if left:
        tally.problem(f"left in the temporary directory: {left}")
    finished = standing(read_log(line.log)).finished
    if len(finished) != moments * BOARDS:
        tally.problem(f"{len(finished)} of {moments * BOARDS} units are done by the log")
    return tally.done()


def _claimed_too_early(line: _Line, boards: Sequence[Board]) -> str:
    """What the log calls done, though the flash says otherwise."""
    done = standing(read_log(line.log)).done
    for board in boards:
        if board.mac in done and _wrong(board, {}):
            return f"{board.mac} is done by the log: {_wrong(board, {})}"
    return ""


def _wrong(board: Board, owners: dict[str, str]) -> str:
    """What is the matter with a board that is done; `owners` learns whose each unit is."""
    record = json.loads(board.read("/device.json") or b"{}")
    name = record.get("deviceName", "")
    if not name or record.get("deviceSecret") != _secret(int(name.rpartition("-")[2])):
        return "holds no identity of the list"
    if record.get("check") != check_of(record):
        return "its identity is torn"
    if owners.setdefault(name, board.mac) != board.mac:
        return f"is {name}, as {owners[name]} is"
    for path, content in image_files(roots=[]).items():
        if path.startswith("/lib/") and board.read(path) != content:
            return f"{path} is not of this release"
    if any(path.endswith((".part", ".new")) for path in board.files()):
        return "a copy was left on it"
    return ""
