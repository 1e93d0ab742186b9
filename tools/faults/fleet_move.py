"""A fleet of simulated boards is moved from one instance to another, under load and faults.

All boards register and connect at the old instance. Then, some dozens at a time, they run, publish
five numbered messages with QoS 1 a second, and are moved; meanwhile both instances, registration
and bootstrap fail at random. A board is done when it has stayed at the new instance for a while.
"""

from __future__ import annotations

import json
import random
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

from tools.board import Board, Session
from tools.faults.bench import CONNECTED, PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces
from tools.faults.proxy import Direction, Fault, Kind
from tools.faults.tally import Tally, keep

Way = Literal[
    "told while online",
    "moved while off, with bootstrap",
    "product.json deployed while off",
    "relocated by its application",
]
WAYS: tuple[Way, ...] = get_args(Way)
_GUARD = 240.0  # seconds for one board, however busy the host
_STAYS = 3.0  # seconds for which it must stay
_BAD = ("refuse", "no host", "not JSON", "another host")
_RUN = """
import json
from aliyun_iot import device
sent = 0
def on_connect(session):
    print("at", session.server)
def on_idle(session):
    global sent
    for _ in range(5):
        session.publish(session.topic("user/update"), str(sent), qos=1)
        sent += 1
def on_message(session, topic, payload):
    if topic.endswith(b"user/get"):
        session.device.relocate(**json.loads(payload))
        print("relocating")
device.run(on_connect, on_message, on_idle)
"""


class Chaos:
    """Faults for the connections to come, and answers of bootstrap that are of no use."""

    def __init__(self, bench: TwoPlaces, rng: random.Random) -> None:
        self._bench = bench
        self._rng = rng
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.injected = 0

    def __enter__(self) -> Chaos:
        for proxy in (self._bench.mqtt, self._bench.new_mqtt, self._bench.https):
            proxy.expect(self._fault() for _ in range(2000))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        self.calm()

    def calm(self) -> None:
        """From here on all is well."""
        self._over.set()
        for proxy in (self._bench.mqtt, self._bench.new_mqtt, self._bench.https):
            proxy.expect([])
        self._bench.platform.behaviour.bootstrap = "answer"

    def _fault(self) -> Fault:
        rng = self._rng
        if rng.random() < 0.6:
            return Fault()
        kinds: tuple[Kind, ...] = ("cut", "reset", "stall", "delay", "refuse", "garbage")
        kind = rng.choices(kinds, (6, 6, 1, 3, 3, 3))[0]
        ways: tuple[Direction, ...] = ("up", "down")
        after = rng.randrange(2600)
        return Fault(kind, rng.choice(ways), after, seconds=0.1, data=rng.randbytes(40))

    def _work(self) -> None:
        while not self._over.wait(self._rng.uniform(0.2, 0.8)):
            bad = self._rng.random() < 0.5
            answer = self._rng.choice(_BAD) if bad else "answer"
            self._bench.platform.behaviour.bootstrap = answer  # type: ignore[assignment]
            self.injected += bad
            if self._rng.random() < 0.1:
                self._rng.choice((self._bench.mqtt, self._bench.new_mqtt)).strike("close")
                self.injected += 1


def _blank(bench: TwoPlaces, way: Way) -> Board:
    """A board that is to be moved in that way."""
    asking = way not in ("product.json deployed while off", "relocated by its application")
    product = bench.asking() if asking else bench.product()
    return bench.board(bench.image(product, main=_RUN, gateway=False))


def _register(board: Board) -> str | None:
    """Have it register and connect at the old instance: what is wrong, or None."""
    result = board.boot(CONNECTED, _GUARD)
    return None if result.ending == "until" else f"{result.ending}: {result.output[-500:]}"


def _move(bench: TwoPlaces, board: Board, way: Way) -> str | None:
    """Move it, and wait until it stays at the new instance: what is wrong, or None."""
    if way == "product.json deployed while off":
        product = bench.product(**bench.at_new)
        board.write("/product.json", json.dumps(product).encode())
    if way.endswith(("off", "bootstrap")):
        bench.move(board)
    with board.power_on() as session:
        wrong = _watch(bench, board, way, session)
        return wrong and f"{wrong}: {session.output[-800:]}"


def _watch(bench: TwoPlaces, board: Board, way: Way, session: Session) -> str | None:
    if not way.endswith(("off", "bootstrap")):
        if session.wait(f"at {OLD}", _GUARD) != "until":
            return "not at the old instance"
        if way == "relocated by its application" and not _relocated(bench, board, session):
            return "not relocated"
        bench.move(board)
    if session.wait(f"at {NEW}", _GUARD) != "until":
        return "not at the new instance"
    for _ in range(60):  # faults may end the connection there, too
        seen = len(bench.connects(board))
        session.wait("no such line", _STAYS, session.matched)
        if len(bench.connects(board)) == seen and bench.platform.online(PRODUCT_KEY, board.mac):
            held = _open(bench, board)
            return None if held == 1 else f"{held} sessions are open"
    return "it does not stay"


def _relocated(bench: TwoPlaces, board: Board, session: Session) -> bool:
    """Tell an application where its device will be: whether it took it in."""
    fields = json.dumps(bench.at_new).encode()
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
    for _ in range(60):
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, fields)  # it may be offline
        if session.wait("relocating", 3) == "until":
            return True
    return False


def _judge(bench: TwoPlaces, board: Board) -> list[str]:
    """What is wrong in the end, the power being off."""
    found = []
    record = bench.platform.record
    name = board.mac
    if bench.connects(board)[-1] != NEW:
        found.append("it is not at the new instance")
    if bench.registrations(board) != 1:
        found.append(f"registered {bench.registrations(board)} times")
    if bench.stored_secret(board) != bench.secret_of(name):
        found.append("its secret is not the platform's")
    numbers = {
        int(message.payload)
        for message in record.messages()
        if message.device_name == name and message.topic.endswith("user/update")
    }
    if numbers != set(range(len(numbers))):
        found.append("a message is missing")
    return found


def _open(bench: TwoPlaces, board: Board) -> int:
    """Sessions that the platform holds open."""
    ended = bench.platform.record.events("disconnect", PRODUCT_KEY, board.mac)
    return len(bench.connects(board)) - len(ended)


def move(boards: int = 200, alive: int = 40, seed: int = 1, folder: Path | None = None) -> Tally:
    """Move a fleet: a row for each board, by the way in which it was moved. alive: at a time."""
    tally = Tally(f"a fleet of {boards} moved from one instance to another, under load and faults")
    with tempfile.TemporaryDirectory(dir=folder) as place, TwoPlaces(Path(place)) as bench:
        fleet = [
            (_blank(bench, WAYS[number % len(WAYS)]), WAYS[number % len(WAYS)])
            for number in range(boards)
        ]
        with ThreadPoolExecutor(8) as pool:
            for wrong in pool.map(_register, [board for board, _ in fleet]):
                if wrong:
                    tally.problem(f"before the move: {wrong}")
        before = len(bench.platform.record.events("register"))
        injected = 0
        for at in range(0, boards, alive):
            injected += _wave(
                bench, fleet[at : at + alive], tally, random.Random(seed * 1000 + at)
            )
        asked = len(bench.platform.record.events("register")) - before
        if asked:
            tally.outcomes["requests to register again, all refused"] = asked
        hit = [
            passed
            for proxy in (bench.mqtt, bench.new_mqtt, bench.https)
            for passed in proxy.connections
            if passed.hit or passed.struck
        ]
        tally.outcomes["connections with a fault"] = len(hit)
        tally.outcomes["times bootstrap was of no use, or all connections closed"] = injected
        tally.outcomes["messages"] = len(bench.platform.record.messages())
        return tally.done(bench.leaks())


def _wave(
    bench: TwoPlaces, fleet: Sequence[tuple[Board, Way]], tally: Tally, rng: random.Random
) -> int:
    """Move some boards at once: how many faults were injected beside those of connections."""
    with Chaos(bench, rng) as chaos, ThreadPoolExecutor(len(fleet)) as pool:
        futures = [(pool.submit(_move, bench, board, way), board, way) for board, way in fleet]
        for future, board, way in futures:
            wrong = future.result()
            tally.note(way)
            if wrong:
                tally.problem(f"{board.mac}, {way}: {wrong}")
    for board, way in fleet:
        for found in _judge(bench, board):
            tally.problem(f"{board.mac}, {way}: {found}")
    return chaos.injected


def run(boards: int, seed: int) -> bool:
    """All of it, printed and kept. False: a problem."""
    tally = move(boards, seed=seed)
    tally.show()
    keep("move", [tally])
    return not tally.problems
