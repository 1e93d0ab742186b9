"""The session's matrix: every loop that people write, with every application, on every link.

A cell is one board. It connects with a keepalive of seconds and comes to its loop; then the link
is done something to. What must hold: a healthy link, however slow, never ends; a dead one is
noticed within keepalive and timeout; afterwards the subscription is back, and each message
sent with QoS 1 has arrived or was reported.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product as all_of

from tools.board import Session
from tools.faults.bench import PRODUCT_KEY, Bench, script
from tools.faults.proxy import Blow, Fault, Proxy
from tools.faults.tally import Tally, share

LOOPS = ("run", "wait(0)", "wait(200)", "check_msg and sleep", "asyncio")
APPLICATIONS = (
    "silent",
    "QoS 0 often",
    "QoS 1",
    "slow callback",
    "raising callback",
    "publishes in callbacks",
)
WELL: dict[str, Fault] = {
    "healthy": Fault(),
    "8 kB/s": Fault("slow"),
    "one byte at a time": Fault("drip", "both"),
}
ILL: dict[str, Blow] = {
    "down dead": "down dead",
    "up dead": "up dead",
    "both dead": "both dead",
    "idle close": "close",
    "cut inside a packet": "cut",
}
LINKS = (*WELL, *ILL)
KEEPALIVE = 2  # seconds
TIMEOUT = 1500  # milliseconds
_HOST = 8.0  # seconds that a busy host may be late by
_WELL = 4.5  # seconds that a healthy link is looked at
_GUARD = 60.0


@dataclass(frozen=True)
class Cell:
    """One combination."""

    loop: str
    application: str
    link: str

    def __str__(self) -> str:
        return f"{self.loop} x {self.application} x {self.link}"


CELLS = tuple(Cell(*each) for each in all_of(LOOPS, APPLICATIONS, LINKS))


class _Problem(Exception):
    pass


class _Run:
    """A cell at work."""

    def __init__(self, bench: Bench, proxy: Proxy, cell: Cell) -> None:
        self._bench = bench
        self._proxy = proxy
        self._cell = cell
        (self._name,) = bench.devices(1)
        self._topic = f"/sys/{PRODUCT_KEY}/{self._name}/user/get"
        self._messages = 0
        # What a callback raises comes out of `run`, which has closed the connection.
        raises = cell.application == "raising callback"
        self._closes = raises and cell.loop in ("run", "asyncio")

    def judge(self) -> str:
        """What came of it. Raises _Problem."""
        bench, cell = self._bench, self._cell
        record = {
            "productKey": PRODUCT_KEY,
            "deviceName": self._name,
            "deviceSecret": bench.secret_of(self._name),
        }
        asked = {
            "loop": cell.loop,
            "application": cell.application,
            "keepalive": KEEPALIVE,
            "timeout": TIMEOUT,
        }
        image = bench.image(
            bench.product(productSecret=None, mqttPort=self._proxy.port),
            device=record,
            main=script("session_matrix.py"),
            files={"/cell.json": json.dumps(asked).encode()},
        )
        self._proxy.default = WELL.get(cell.link, Fault())
        with bench.board(image).power_on() as session:
            self._expect(session, "^up 1$", _GUARD)
            self._hear(session)
            if self._closes:
                self._expect(session, "^up 2$", _GUARD)
            if cell.application == "QoS 1":
                self._expect(session, "^sent 1$", _GUARD)
            if cell.link in WELL:
                self._stay(session)
                outcome = "stayed"
            else:
                outcome = self._lose(session)
            self._messages_arrived(session)
        return outcome

    def _expect(self, session: Session, pattern: str, seconds: float, since: int = 0) -> None:
        if session.wait(pattern, seconds, since) != "until":
            raise _Problem(f"no {pattern!r}: {session.output[-600:]!r}")

    def _hear(self, session: Session) -> None:
        """A message reaches the application: its subscription is there."""
        since = len(session.output)
        deadline = time.monotonic() + _GUARD
        while time.monotonic() < deadline:
            self._publish()
            if session.wait(f"^got m{self._messages}$", 1.5, since) == "until":
                return
        raise _Problem(f"no message reached it: {session.output[-600:]!r}")

    def _publish(self) -> None:
        self._messages += 1
        payload = b"m%d" % self._messages
        self._bench.platform.publish(PRODUCT_KEY, self._name, self._topic, payload, 1)

    def _stay(self, session: Session) -> None:
        """Look at a link that is well."""
        until = time.monotonic() + _WELL
        while time.monotonic() < until:
            self._publish()
            session.step(0.5)
        told = len(re.findall(r"lost:|trying again", session.output))
        again = len(re.findall(r"(?m)^up [2-9]", session.output))
        if told or (again and not self._closes):
            raise _Problem(f"a healthy link ended: {session.output[-600:]!r}")

    def _lose(self, session: Session) -> str:
        since = len(session.output)
        began = time.monotonic()
        self._proxy.strike(ILL[self._cell.link])
        if not self._closes:
            self._publish()
        self._expect(session, "lost:|trying again", KEEPALIVE + TIMEOUT / 1000 + _HOST, since)
        late = time.monotonic() - began
        self._expect(session, "^up ", _GUARD, session.matched)
        self._hear(session)
        return f"noticed after {'under' if late < 1 else 'over'} 1 s"

    def _messages_arrived(self, session: Session) -> None:
        """Each number acknowledged or reported to the application reached the platform."""
        sent = [int(number) for number in re.findall(r"(?m)^sent (\d+)$", session.output)]
        up = {
            json.loads(message.payload)["n"]
            for message in self._bench.platform.record.messages()
            if message.device_name == self._name and message.topic.endswith("user/update")
        }
        given_up = {int(n) for n in re.findall(r'given up \{"n":(\d+)\}', session.output)}
        missing = set(range(1, max(sent, default=0) + 1)) - up - given_up
        if missing and self._cell.application in ("QoS 1", "publishes in callbacks"):
            raise _Problem(f"never arrived: {sorted(missing)}: {session.output[-600:]!r}")
        if self._cell.application == "QoS 1" and not sent:
            raise _Problem("nothing was sent")


def _run(bench: Bench, cell: Cell) -> tuple[Cell, str, str | None]:
    proxy = Proxy(bench.platform.mqtt_tls_port)
    if cell.link in ("8 kB/s", "one byte at a time"):
        proxy.buffer = 4096
    with proxy:
        try:
            return cell, _Run(bench, proxy, cell).judge(), None
        except _Problem as problem:
            return cell, "problem", str(problem)


def matrix(
    bench: Bench,
    most: int | None = None,
    seed: int = 0,
    parallel: int = 15,
    links: Sequence[str] = LINKS,
) -> Sequence[Tally]:
    """All cells on these links, or a seeded choice of `most`; a row for each link.

    parallel: boards at a time, which mostly wait.
    """
    tallies = {link: Tally(f"session, {link}: loops x applications") for link in links}
    with ThreadPoolExecutor(parallel) as pool:
        cells = share([cell for cell in CELLS if cell.link in links], most, seed)
        for cell, outcome, problem in pool.map(lambda each: _run(bench, each), cells):
            tallies[cell.link].note(outcome)
            if problem:
                tallies[cell.link].problem(f"{cell}: {problem}")
    leaks = bench.leaks()
    done = [tally.done() for tally in tallies.values() if tally.tried]
    if leaks:
        done[0].done(leaks)
    return done
