"""`make soak`: many boots, each with a fault of some kind, in a seeded order.

A life is one board: some boots with faults, then clean ones until it is connected; then the next
few faults. What must hold at every clean boot: the board connects, with the one secret that the
platform holds to be valid, and no secret was ever seen.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tools.board import Board, Cut, FlashFault
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.network import DIRECTIONS
from tools.faults.power import WHEN
from tools.faults.proxy import Fault, Kind, Proxy
from tools.faults.tally import Tally, keep
from tools.image import FlashLayout
from tools.iot_platform import Identity
from tools.layout import ROOT

LIFE = 8
"""Boots with faults in the life of one board."""
_IMPATIENT = (
    "from aliyun_iot.device import Device\nfrom aliyun_iot.session import Session\n"
    "Device.timeout = Session.timeout = Session.connect_timeout = 1500\n"
)
_PATIENCE = 60.0  # seconds for a clean boot, on a host that may be busy


@dataclass
class Sums:
    """What a soak came to."""

    boots: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def add(self, other: Sums) -> None:
        """Take in another's."""
        self.boots += other.boots
        self.faults.update(other.faults)
        self.lost += other.lost
        self.hangs += other.hangs
        self.leaks += other.leaks


class _Life:
    """One board and what happens to it."""

    def __init__(self, bench: Bench, number: int, seed: int) -> None:
        self.bench = bench
        self.name = f"seed {seed}, life {number}"
        self.rng = random.Random(f"{seed} {number}")
        self.sums = Sums()
        way = self.rng.choice(["https", "https", "mqtt"])
        main = _IMPATIENT + (ROOT / "main.py").read_text()
        image = bench.image(
            bench.product(registration=way), main=main, layout=FlashLayout(size=64 * 4096)
        )
        self.board: Board = bench.board(image)

    def run(self) -> Sums:
        kinds: list[Callable[[], str]] = [
            self._power_cut,
            self._power_off,
            self._network,
            self._network,
            self._lost_answer,
            self._refusal,
            self._odd_answer,
            self._clock,
            self._radio,
            self._names,
            self._flash,
            self._soft_reset,
            self._new_secret,
        ]
        for _ in range(LIFE):
            kind = self.rng.choice(kinds)()
            self.sums.faults[kind] += 1
            self._tidy()
            if self.rng.random() < 0.4:
                self._clean()
        self._clean()
        return self.sums

    def _boot(self, seconds: float = 4, cut: Cut | None = None) -> None:
        self.sums.boots += 1
        self.board.boot(CONNECTED, seconds, power_cut=cut)

    def _tidy(self) -> None:
        board = self.board
        board.wifi, board.resolve, board.ntp = None, {"*": "127.0.0.1"}, "ok"
        board.flash_fault = None
        self.bench.platform.faults.clear()
        for proxy in (self.bench.https, self.bench.mqtt):
            proxy.expect([])

    def _clean(self) -> None:
        """Boot without a fault: it must connect, with the valid secret."""
        self.sums.boots += 1
        result = self.board.boot(CONNECTED, _PATIENCE)
        if result.ending != "until":
            self.sums.hangs.append(f"{self.name}: {result.ending}: {result.output[-300:]}")
        try:
            stored = self.bench.stored_secret(self.board)
        except ValueError:
            stored = None
        if stored != self.bench.secret_of(self.board.mac):
            self.sums.lost.append(f"{self.name}: {result.output[-300:]}")

    # --- faults

    def _power_cut(self) -> str:
        if self.rng.random() < 0.5:
            self._invalidate()  # then there is something to write
        self._boot(cut=Cut(self.rng.randint(1, 8), self.rng.choice(WHEN)))
        return "power cut at a flash operation"

    def _power_off(self) -> str:
        self.sums.boots += 1
        self.board.boot(None, self.rng.uniform(0.1, 0.6))
        return "power off at any time"

    def _network(self) -> str:
        kinds: list[Kind] = ["cut", "reset", "stall", "drip", "garbage", "refuse"]
        kind = self.rng.choice(kinds)
        proxy: Proxy = self.rng.choice([self.bench.https, self.bench.mqtt])
        faults = [
            Fault(
                kind,
                self.rng.choice(DIRECTIONS),
                self.rng.randrange(2000),
                0.001,
                self.rng.randbytes(50),
            )
            for _ in range(self.rng.randint(1, 3))
        ]
        proxy.expect(faults)
        self._boot()
        return f"network: {kind}"

    def _lost_answer(self) -> str:
        self._invalidate()
        self.bench.platform.faults.drop_next_register_answer(
            self.rng.randint(1, 3), self.rng.random() < 0.5
        )
        self._boot()
        return "answer lost after the platform committed"

    def _refusal(self) -> str:
        if self.rng.random() < 0.5:
            self._invalidate()
            code = self.rng.choice([429, 460, 500, 6288, 6289, 6600])
            self.bench.platform.faults.register_code(code, self.rng.randint(1, 4))
        code = self.rng.choice([1, 2, 3, 4, 5])
        self.bench.platform.faults.connack(code, self.rng.randint(1, 4))
        self._boot()
        return "refused by the platform"

    def _odd_answer(self) -> str:
        self._invalidate()
        body = self.rng.choice(
            [b"", b"<html></html>", b'{"code":200}', self.rng.randbytes(200), b"[" * 500]
        )
        head = self.rng.choice([b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n"])
        self.bench.platform.faults.raw_http(head + body, self.rng.randint(1, 3))
        self._boot()
        return "odd HTTP answer"

    def _clock(self) -> str:
        self.board.ntp = self.rng.choice(["blocked", "short", "lies:0", "lies:9000000000"])
        self._boot()
        return "NTP blocked or lying"

    def _radio(self) -> str:
        air: list[dict[str, str | int | None]] = [{}, {"bench": "another"}, {"bench": 204}]
        self.board.wifi = self.rng.choice(air)
        self._boot(0.6)
        return "no Wi-Fi"

    def _names(self) -> str:
        self.board.resolve = {}
        self._boot(0.6)
        return "no DNS"

    def _flash(self) -> str:
        self._invalidate()
        self.board.flash_fault = FlashFault(None, self.rng.random() < 0.5)
        self._boot(0.8)
        return "flash that cannot be written"

    def _soft_reset(self) -> str:
        self.sums.boots += 1
        with self.board.power_on(max_boots=3) as session:
            session.wait(None, self.rng.uniform(0.1, 0.5))
            session.send("\x03")
            session.wait(None, 3)
            session.send("\x04")
            session.wait(CONNECTED, 4, len(session.output))
        return "Ctrl-C and soft reset"

    def _new_secret(self) -> str:
        self._invalidate()
        self._boot()
        return "secret made invalid by the platform"

    def _invalidate(self) -> None:
        """As when an operator resets the device and somebody else registers in its name."""
        self.bench.platform.reset(PRODUCT_KEY, self.board.mac)
        identity = Identity(PRODUCT_KEY, self.board.mac)
        self.bench.platform.registry.issue_secret(identity, fresh=True)


def lives(numbers: range, seed: int) -> Sums:
    """Run some lives on one bench."""
    sums = Sums()
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        for number in numbers:
            sums.add(_Life(bench, number, seed).run())
        sums.leaks += bench.leaks()
    return sums


def soak(boots: int, seed: int, workers: int = 2) -> tuple[Sums, Tally]:
    """At least `boots` boots; the faults follow from `seed` alone."""
    tally = Tally(f"soak, seed {seed}")
    count = -(-boots // LIFE)
    sums = Sums()
    if workers == 1:
        sums.add(lives(range(count), seed))
    else:
        parts = [range(start, count, workers) for start in range(min(workers, count))]
        with ProcessPoolExecutor(workers) as pool:
            for part in pool.map(lives, parts, [seed] * len(parts)):
                sums.add(part)
    tally.tried = sums.boots
    tally.outcomes.update(sums.faults)
    for problems in (sums.lost, sums.hangs, sums.leaks):
        tally.problems += problems
    return sums, tally.done()


def run(boots: int, seed: int, workers: int) -> bool:
    """Print the table. False: a problem."""
    sums, tally = soak(boots, seed, workers)
    print(f"{'boots':45}{sums.boots:>6}")
    for kind, count in sorted(sums.faults.items()):
        print(f"  {kind:43}{count:>6}")
    print(f"{'identities lost':45}{len(sums.lost):>6}")
    print(f"{'secrets leaked':45}{len(sums.leaks):>6}")
    print(f"{'hangs':45}{len(sums.hangs):>6}")
    for problem in tally.problems[:20]:
        print("    " + problem)
    facts = {
        "boots": sums.boots,
        "faults": dict(sorted(sums.faults.items())),
        "lost": len(sums.lost),
        "leaked": len(sums.leaks),
        "hangs": len(sums.hangs),
        "seed": seed,
    }
    keep("soak", [tally], facts)
    return not tally.problems
