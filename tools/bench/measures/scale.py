"""Scale: many boards at once, and a gateway with many sub-devices.

Boards: simulated boards with blank flash, each a process of its own; each registers, stores,
connects, posts a property and waits for the answer, with the shipped boot.py and main.py, and
stays online until the last one is. Their deadlines are in real time, but all of them and the
platform share this machine's processors: so at most 100 are on their way at any time, and the
next is powered on when one has arrived. A failure is a board that does not arrive, or has another
DeviceSecret on its flash than the platform holds valid; tries again are counted by themselves.
The platform's record tells registrations, connects and how many were online at once; the
platform's limit is 5 connects for a device in a minute.

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
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools.bench.flow import REPLIED
from tools.bench.measures.heap import WORD
from tools.bench.place import PRODUCT_KEY, Place
from tools.bench.results import Picture, Section, Table, number
from tools.board import Board
from tools.charts import lines
from tools.image import BLOCK_SIZE, FlashLayout
from tools.iot_platform import Event

BOARDS = (1, 10, 100, 500)
SUBDEVICES = (1, 10, 100, 500, 2000)
STARTING = 100
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
    online: int
    """At once, at most."""


def crowd(place: Place, count: int) -> Crowd:
    """Bring `count` blank boards online, and keep them there until all are."""
    image = place.image(layout=_SMALL)
    folder = place.folder / "crowd"
    names = [place.new_mac() for _ in range(count)]
    record = place.platform.record
    before = len(record.events())
    boards = [place.board(image, name, folder=folder / name) for name in names]
    # In a process of its own: hundreds of threads would take the platform's turns.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(_boot_all, folder, names).result(_SECONDS + 60)
    arrived = {name for name, one in zip(names, told, strict=True) if one.arrived}
    failures = sum(not (board.mac in arrived and _good(place, board)) for board in boards)
    shutil.rmtree(folder)
    events = record.events()[before:]
    connected = [event for event in events if event.kind == "connect" and event.code == 0]
    return Crowd(
        count,
        max(one.at for one in told),
        median(one.seconds for one in told),
        failures,
        sum(one.tries_again for one in told),
        sum(event.kind == "register" and event.code == 200 for event in events),
        len(connected),
        _most_in_a_minute([(event.device_name, event.at) for event in connected]),
        _most_online(events),
    )


@dataclass(frozen=True)
class _Told:
    """What a board of a crowd came to; times in seconds, `at` since the first power-on."""

    arrived: bool
    at: float
    seconds: float
    tries_again: int


def _boot_all(folder: Path, names: Sequence[str]) -> list[_Told]:
    """Power on all boards, `STARTING` of them on their way at a time, until all have arrived."""
    began = time.monotonic()
    until = began + _SECONDS
    with ExitStack() as powered, ThreadPoolExecutor(min(len(names), STARTING)) as pool:

        def boot(name: str) -> _Told:
            on = time.monotonic()
            board = Board(None, folder / name, name, resolve={"*": "127.0.0.1"})
            session = powered.enter_context(board.power_on())
            ending = session.wait(REPLIED, max(0.1, until - time.monotonic()))
            now = time.monotonic()
            # A board that was told to wait and come back is no failure: that is its job.
            again = session.output.count("trying again")
            return _Told(ending == "until", now - began, now - on, again)

        return list(pool.map(boot, names))


def _most_online(events: Sequence[Event]) -> int:
    """How many devices were online at once, at most."""
    online: set[str | None] = set()
    most = 0
    for event in events:
        if event.kind == "connect" and event.code == 0:
            online.add(event.device_name)
        elif event.kind == "disconnect":
            online.discard(event.device_name)
        most = max(most, len(online))
    return most


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
            f"Blank boards come online, on {os.cpu_count()} processors",
            (
                "boards",
                "all done, s",
                "median, s",
                "ms per board",
                "failures",
                "tries again",
                "registrations",
                "connects",
                "online at once",
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
                    number(one.online),
                    number(one.most_connects),
                )
                for one in crowds
            ],
        )
    )
    part.pictures.append(
        Picture(
            "benchmark-boards.svg",
            lines(
                "Blank boards register and connect",
                "boards",
                "seconds",
                {
                    "until all are online": [(one.boards, one.seconds) for one in crowds],
                    "one board (median)": [(one.boards, one.median) for one in crowds],
                },
            ),
            "Time against the number of boards, both axes logarithmic.",
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
            lines(
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
