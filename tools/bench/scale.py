"""Scale: many boards at once, and a gateway with many sub-devices.

Boards: simulated boards with blank flash, each a process of its own, all powered on at once;
each registers, stores, connects, posts a property and waits for the answer, with the shipped
boot.py and main.py. The machine that runs all of them runs the platform, too, so the time is
its processors'. A failure is a board that is not online with the valid DeviceSecret on its flash
at the end; tries again are counted by themselves. The platform's record tells registrations and
connects; its limit is 5 connects for a device in a minute.

Gateway: `bring_online` of new sub-devices. Time is the board's own, with sleeps passing fast and
counted in full: it includes the pauses by which the gateway keeps the platform's limits.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.bench.heap import WORD
from tools.bench.pictures import chart
from tools.bench.place import PRODUCT_KEY, REPLIED, Place
from tools.bench.results import Picture, Section, Table, number
from tools.board import Board
from tools.image import BLOCK_SIZE, FlashLayout

BOARDS = (1, 10, 100, 500)
SUBDEVICES = (1, 10, 100, 500, 2000)
_SECONDS = 120
_SMALL = FlashLayout(size=64 * BLOCK_SIZE)
"""Enough for the files, and little enough for hundreds of images."""


@dataclass(frozen=True)
class Crowd:
    """What came of many boards at once; times in seconds."""

    boards: int
    seconds: float
    median: float
    failures: int
    tries_again: int
    registrations: int
    connects: int
    most_connects: int
    """Of one device within a minute."""


def crowd(place: Place, count: int) -> Crowd:
    """Power on `count` boards at once and wait until all have got through."""
    image = place.image(layout=_SMALL)
    folder = place.folder / "crowd"
    names = [place.new_mac() for _ in range(count)]
    record = place.platform.record
    before = {kind: len(record.events(kind)) for kind in ("register", "connect")}
    boards = [place.board(image, name, folder=folder / name) for name in names]
    # In a process of its own: hundreds of threads would take the platform's turns.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(_boot_all, folder, names).result(_SECONDS + 60)
    seconds = max(took for took, _ in told)
    failures = sum(not _good(place, board) for board in boards)
    shutil.rmtree(folder)
    registered = record.events("register")[before["register"] :]
    connected = record.events("connect")[before["connect"] :]
    times = sorted(took for took, _ in told)
    return Crowd(
        count,
        seconds,
        times[len(times) // 2],
        failures,
        sum(again for _, again in told),
        len(registered),
        len(connected),
        _most_in_a_minute([(event.device_name, event.at) for event in connected]),
    )


def _boot_all(folder: Path, names: Sequence[str]) -> list[tuple[float, int]]:
    """Boot all boards at once: the seconds that each took, and how often it had to try again."""
    until = time.monotonic() + _SECONDS
    began = 0.0

    def boot(name: str) -> tuple[float, int]:
        board = Board(None, folder / name, name, resolve={"*": "127.0.0.1"})
        result = board.boot(REPLIED, max(1.0, until - time.monotonic()))
        # A board that was told to wait and come back is no failure: that is its job.
        return time.monotonic() - began, result.output.count("trying again")

    with ThreadPoolExecutor(len(names)) as pool:
        began = time.monotonic()
        return list(pool.map(boot, names))


def _most_in_a_minute(connects: Sequence[tuple[str | None, float]]) -> int:
    """The most connects of one device within any 60 seconds."""
    times: dict[str | None, list[float]] = defaultdict(list)
    for name, at in connects:
        times[name].append(at)
    return max(
        sum(start <= at < start + 60 for at in found)
        for found in times.values()
        for start in found
    )


def _good(place: Place, board: Board) -> bool:
    data = board.read("/device.json")
    stored = json.loads(data).get("deviceSecret") if data else None
    device = place.platform.registry.device(PRODUCT_KEY, board.mac)
    return stored == device.device_secret and device.activated


def gateway(place: Place, count: int) -> tuple[float, int]:
    """Seconds that bringing sub-devices online takes, and bytes of the chip's heap it leaves."""
    output = place.gateway(count).checked().output
    _, _, took, grown = re.findall(r"(?m)^gateway .*$", output)[0].split()
    return int(took) / 1000, int(grown) // WORD


def _boards(place: Place, part: Section, counts: Sequence[int]) -> None:
    crowds = [crowd(place, count) for count in counts]
    part.figures["scale.failures"] = sum(one.failures for one in crowds)
    part.figures["scale.connects"] = max(one.most_connects for one in crowds)
    part.tables.append(
        Table(
            f"Boards at once, on {os.cpu_count()} processors",
            (
                "boards",
                "all done, s",
                "median, s",
                "ms per board",
                "failures",
                "tries again",
                "registrations",
                "connects",
                "most per device and minute",
            ),
            [
                (
                    number(one.boards),
                    f"{one.seconds:.2f}",
                    f"{one.median:.2f}",
                    f"{one.seconds / one.boards * 1000:.0f}",
                    number(one.failures),
                    number(one.tries_again),
                    number(one.registrations),
                    number(one.connects),
                    number(one.most_connects),
                )
                for one in crowds
            ],
        )
    )
    part.pictures.append(
        Picture(
            "benchmark-boards.svg",
            chart(
                "Boards that register and connect at once",
                "boards",
                "seconds",
                {
                    "until the last is online": [(one.boards, one.seconds) for one in crowds],
                    "median board": [(one.boards, one.median) for one in crowds],
                },
            ),
            "Time against the number of boards, both axes logarithmic: a straight line at 45 "
            "degrees is proportional growth.",
        )
    )


def _gateway(place: Place, part: Section, counts: Sequence[int]) -> None:
    found = [(count, *gateway(place, count)) for count in counts]
    part.tables.append(
        Table(
            "A gateway brings new sub-devices online: registered, stored, added, logged in",
            ("sub-devices", "seconds", "ms per sub-device", "heap left in use, bytes"),
            [
                (number(n), f"{took:.2f}", f"{took / n * 1000:.1f}", number(grown))
                for n, took, grown in found
            ],
        )
    )
    part.pictures.append(
        Picture(
            "benchmark-gateway.svg",
            chart(
                "A gateway brings sub-devices online",
                "sub-devices",
                "seconds",
                {"this package": [(n, took) for n, took, _ in found]},
            ),
            "Time against the number of sub-devices, both axes logarithmic.",
        )
    )


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Scale", __doc__ or "")
    _boards(place, part, BOARDS[:2] if quick else BOARDS)
    _gateway(place, part, SUBDEVICES[:3] if quick else SUBDEVICES)
    return part
