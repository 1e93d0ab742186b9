"""A fleet of simulated boards is moved from one instance to another, under load and faults.

All boards register and connect at the old instance. Then, some dozens at a time, they run, publish
five numbered messages with QoS 1 a second, and are moved; meanwhile both instances, registration
and bootstrap fail at random. A board is done when it has stayed at the new instance for a while.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tools.board import Board, Session
from tools.faults.bench import CONNECTED, PRODUCT_KEY, script
from tools.faults.chaos import Chaos
from tools.faults.places import NEW, TwoPlaces
from tools.faults.tally import Tally, keep

Way = Literal[
    "told while online",
    "moved while off, with bootstrap",
    "product.json deployed while off",
    "relocated by its application",
]
WAYS: tuple[Way, ...] = get_args(Way)
ASKING: tuple[Way, ...] = ("told while online", "moved while off, with bootstrap")
"""Those of boards that ask bootstrap."""
OFF: tuple[Way, ...] = ("moved while off, with bootstrap", "product.json deployed while off")
_GUARD = 240.0  # seconds for one board, however busy the host
_STAYS = 3.0  # seconds for which it must stay
_SENT = re.compile(r"^sent (\w+) (\d+)", re.MULTILINE)


@dataclass
class _Moved:
    """A board of the fleet."""

    board: Board
    way: Way
    coroutines: bool
    said: str = ""
    arrived: bool = False
    sent: dict[str, int] = field(default_factory=dict)
    """Messages of each series that it counts as sent."""

    @property
    def name(self) -> str:
        kind = "coroutines" if self.coroutines else "run"
        return f"{self.board.mac}, {self.way}, {kind}"


def _blank(bench: TwoPlaces, number: int) -> _Moved:
    """A board that is to be moved in one of the ways; every third one runs coroutines."""
    way = WAYS[number % len(WAYS)]
    product = bench.asking() if way in ASKING else bench.product()
    coroutines = number % 3 == 0
    main = script("fleet_aio.py" if coroutines else "fleet_run.py")
    files = {"/tasks": ""} if number % 2 else {}
    board = bench.board(bench.image(product, main=main, files=files, gateway=False))
    return _Moved(board, way, coroutines)


def _register(moved: _Moved) -> str | None:
    """Have it register and connect at the old instance: what is wrong, or None."""
    result = moved.board.boot(CONNECTED, _GUARD)
    return None if result.ending == "until" else f"{result.ending}: {result.output[-500:]}"


class _Wave:
    """Boards that are moved at once: all go on until the last one is at the new instance."""

    def __init__(self, boards: int) -> None:
        self._lock = threading.Lock()
        self._going = boards
        self._until = time.monotonic() + 2 * _GUARD

    def arrived(self) -> None:
        """One board is at the new instance."""
        with self._lock:
            self._going -= 1

    def over(self) -> bool:
        """Whether all are."""
        return self._going <= 0 or time.monotonic() > self._until


def _move(bench: TwoPlaces, moved: _Moved, wave: _Wave) -> str | None:
    """Move it, and wait until it stays at the new instance: what is wrong, or None."""
    try:
        return _moving(bench, moved, wave)
    finally:
        if not moved.arrived:
            wave.arrived()  # it will not: the others need not wait


def _moving(bench: TwoPlaces, moved: _Moved, wave: _Wave) -> str | None:
    board = moved.board
    if moved.way in OFF:
        with board.power_on() as session:
            if session.wait("publishing", _GUARD) != "until":
                return f"not publishing at the old instance: {session.output[-800:]}"
            moved.said = session.output
        if moved.way == "product.json deployed while off":
            product = bench.product(**bench.at_new)
            board.write("/product.json", json.dumps(product).encode())
        bench.move(board)
    with board.power_on() as session:
        wrong = _watch(bench, moved, session, wave)
        moved.said += session.output
        return wrong and f"{wrong}: {session.output[-800:]}"


def _watch(bench: TwoPlaces, moved: _Moved, session: Session, wave: _Wave) -> str | None:
    board = moved.board
    if moved.way not in OFF:
        if session.wait("publishing", _GUARD) != "until":
            return "not publishing at the old instance"
        relocated = moved.way == "relocated by its application"
        if relocated and not _told(bench, board, session, bench.at_new, "relocating"):
            return "not relocated"
        bench.move(board)
    if session.wait(f"at {NEW}", _GUARD) != "until":
        return "not at the new instance"
    moved.arrived = True
    wave.arrived()
    while not wave.over():  # it goes on publishing, and faults go on ending its connection
        session.wait("no such line", 0.5, session.matched)
    for _ in range(60):
        seen = len(bench.connects(board))
        session.wait("no such line", _STAYS, session.matched)
        if len(bench.connects(board)) == seen and bench.platform.online(PRODUCT_KEY, board.mac):
            break
    else:
        return "it does not stay"
    # What it says then, all has been acknowledged of.
    if not _told(bench, board, session, "stop", "all said"):
        return "it does not stop"
    moved.sent = {name: int(count) for name, count in _SENT.findall(session.output)}
    held = _open(bench, board)
    return None if held == 1 else f"{held} sessions are open"


def _told(bench: TwoPlaces, board: Board, session: Session, what: object, until: str) -> bool:
    """Tell an application something until it says that it has taken it in: whether it has."""
    payload = what.encode() if isinstance(what, str) else json.dumps(what).encode()
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
    for _ in range(60):
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, payload)  # it may be offline
        if session.wait(until, 3, session.matched) == "until":
            return True
    return False


def _judge(bench: TwoPlaces, moved: _Moved) -> list[str]:
    """What is wrong in the end, the power being off."""
    found = []
    board = moved.board
    if bench.connects(board)[-1] != NEW:
        found.append("it is not at the new instance")
    if bench.registrations(board) != 1:
        found.append(f"registered {bench.registrations(board)} times")
    if bench.stored_secret(board) != bench.secret_of(board.mac):
        found.append("its secret is not the platform's")
    came: dict[str, set[int]] = {}
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/update"
    for message in bench.platform.record.messages(topic):
        series, number = bytes(message.payload).decode().split()
        came.setdefault(series, set()).add(int(number))
    for series, count in moved.sent.items():
        missing = set(range(count)) - came.get(series, set())
        if missing:
            found.append(f"messages {sorted(missing)} of {count} are missing")
    for numbers in came.values():  # also of the boot that ended with its power
        if numbers != set(range(len(numbers))):
            found.append("a message is missing")
    return found


def _open(bench: TwoPlaces, board: Board) -> int:
    """Sessions that the platform holds open."""
    ended = bench.platform.record.events("disconnect", PRODUCT_KEY, board.mac)
    return len(bench.connects(board)) - len(ended)


def _why(moved: _Moved) -> str | None:
    """Why a board asked to register, by what it said since it was connected; None: no reason."""
    refused = in_vain = 0
    for line in moved.said.splitlines():
        if "connected as" in line:
            refused = in_vain = 0
        elif line.startswith("[iot] bootstrap: "):
            in_vain = 0 if "told" in line else in_vain + 1
        elif "connect refused (CONNACK 4)" in line:
            refused += 1
            if moved.way not in ASKING and refused > 1:
                return "both places had refused it"
            if in_vain >= 5:
                return "refused, and bootstrap had failed five times"
    return None


def move(boards: int = 200, alive: int = 200, seed: int = 1, folder: Path | None = None) -> Tally:
    """Move a fleet: a row for each board, by the way in which it was moved. alive: at a time."""
    tally = Tally(f"a fleet of {boards} moved from one instance to another, under load and faults")
    with tempfile.TemporaryDirectory(dir=folder) as place, TwoPlaces(Path(place)) as bench:
        fleet = [_blank(bench, number) for number in range(boards)]
        with ThreadPoolExecutor(8) as pool:
            for wrong in pool.map(_register, fleet):
                if wrong:
                    tally.problem(f"before the move: {wrong}")
        began = time.monotonic()
        injected = 0
        for at in range(0, boards, alive):
            injected += _wave(
                bench, fleet[at : at + alive], tally, random.Random(seed * 1000 + at)
            )
        took = time.monotonic() - began
        _count(bench, fleet, tally, injected, took)
        return tally.done(bench.leaks())


def _count(
    bench: TwoPlaces, fleet: Sequence[_Moved], tally: Tally, injected: int, took: float
) -> None:
    """What happened beside the moves themselves."""
    hit = [
        passed
        for proxy in (bench.mqtt, bench.new_mqtt, bench.https)
        for passed in proxy.connections
        if passed.hit or passed.struck
    ]
    messages = len(bench.platform.record.messages())
    tally.outcomes[f"messages with QoS 1, {messages / took:.0f} a second"] = messages
    tally.outcomes["connections with a fault"] = len(hit)
    tally.outcomes["times bootstrap was of no use, or all connections closed"] = injected
    for moved in fleet:
        requests = len(bench.platform.record.events("register", PRODUCT_KEY, moved.board.mac)) - 1
        why = _why(moved)
        if requests and why is None:
            tally.problem(f"{moved.name}: asked to register: {moved.said[-3000:]}")
        elif requests:
            tally.outcomes[f"requests to register, all refused: {why}"] += requests


def _wave(bench: TwoPlaces, fleet: Sequence[_Moved], tally: Tally, rng: random.Random) -> int:
    """Move some boards at once: how many faults were injected beside those of connections."""
    wave = _Wave(len(fleet))
    with Chaos(bench, rng) as chaos, ThreadPoolExecutor(len(fleet)) as pool:
        futures = [(pool.submit(_move, bench, moved, wave), moved) for moved in fleet]
        for future, moved in futures:
            wrong = future.result()
            tally.note(moved.way)
            tally.outcomes["of them as coroutines"] += moved.coroutines
            if wrong:
                tally.problem(f"{moved.name}: {wrong}")
    for moved in fleet:
        for found in _judge(bench, moved):
            tally.problem(f"{moved.name}: {found}")
    return chaos.injected


def run(boards: int, seed: int) -> bool:
    """All of it, printed and kept. False: a problem."""
    tally = move(boards, seed=seed)
    tally.show()
    keep("move", [tally])
    return not tally.problems
