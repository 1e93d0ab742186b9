"""The life of one board in a soak: it is booted, watched and judged."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tools.board import Cut, Session
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.impostor import Impostor, Impostors
from tools.faults.power import (
    SUBDEVICES_ONLINE,
    add_subdevices,
    bring_online,
    subdevices,
    wrong_subdevices,
)
from tools.image import FlashLayout
from tools.iot_platform import Event, Identity
from tools.layout import ROOT

Way = Literal["https", "mqtt", "mqtt-free", "gateway"]
"""How a board registers; a gateway does so over HTTPS, and has sub-devices beside."""
ALL: tuple[Way, ...] = ("https", "mqtt", "mqtt-free", "gateway")
OVER_HTTPS: tuple[Way, ...] = ("https", "gateway")
SAID = r"trying again in .*\n"
"""What a board says when a try has failed."""
PATIENCE = 60.0
"""Seconds of silence that are a hang: 40 times the deadlines of an impatient board."""
_HURRY = 10_000
"""Half an hour, the longest wait between tries, takes a quarter of a second."""
_MOST_TRIES = 30
"""In a clean boot, where each may fail only because the host is too busy for its deadline."""
_IMPATIENT = """
from aliyun_iot.device import Device
from aliyun_iot.session import Session
Device.timeout = Session.timeout = Session.connect_timeout = 1500
"""
_IMPATIENT_GATEWAY = """
from aliyun_iot.gateway import Gateway
Gateway.timeout = Gateway.busy = 1500
"""
_RUN = "device.run(on_connect, on_message)"
_LAYOUT = FlashLayout(size=64 * 4096)


class Over(Exception):
    """A board has failed: its life ends here."""


@dataclass
class Sums:
    """What a soak came to."""

    boots: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Boots in which a fault of this kind took effect."""
    missed: Counter[str] = field(default_factory=Counter)
    """Boots in which one was drawn and did not hit."""
    lost: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def add(self, other: Sums) -> None:
        """Take in another's."""
        self.boots += other.boots
        self.faults.update(other.faults)
        self.missed.update(other.missed)
        self.lost += other.lost
        self.hangs += other.hangs
        self.leaks += other.leaks

    @property
    def problems(self) -> list[str]:
        """All that must not be."""
        return self.lost + self.hangs + self.leaks


@dataclass(frozen=True)
class FaultKind:
    """One row of the table.

    inject: boots a board with such a fault and says whether the fault took effect. ways: the
    boards that can meet it. spoils: whether it damages the record by itself.
    """

    name: str
    inject: Callable[[Life], bool]
    ways: tuple[Way, ...] = ALL
    spoils: bool = False


class Life:
    """One board and what happens to it. The kinds of faults are functions of a life."""

    def __init__(self, bench: Bench, impostors: Impostors, way: Way, rng: random.Random) -> None:
        self.bench = bench
        self.impostors = impostors
        self.way = way
        self.rng = rng
        self.sums = Sums()
        self.doing = ""
        """For the report of a problem."""
        product = bench.product(registration="https" if way == "gateway" else way)
        image = bench.image(product, layout=_LAYOUT)
        self.board = bench.board(image, hurry=_HURRY)
        self._prefix = ""
        self.set_main(self.impatient)
        if way == "gateway":
            add_subdevices(bench, self.board)

    # --- the board

    @cached_property
    def identity(self) -> Identity:
        """Of the board."""
        return Identity(PRODUCT_KEY, self.board.mac)

    @cached_property
    def subdevices(self) -> list[Identity]:
        """Of a gateway."""
        return subdevices(self.board)

    @property
    def said(self) -> bytes:
        """All that came on its serial line."""
        return next(each.said for each in self.bench.boards if each is self.board)

    @property
    def goal(self) -> str:
        """What the board says when all is well: a regular expression."""
        return SUBDEVICES_ONLINE if self.way == "gateway" else CONNECTED

    def _main(self) -> str:
        main = (ROOT / "main.py").read_text("utf-8")
        if self.way != "gateway":
            return main
        return bring_online(self.board) + main.replace(
            _RUN, _RUN.replace("on_connect", "bring_online")
        )

    def set_main(self, prefix: str) -> None:
        """Put main.py on the flash, with something to do first."""
        main = prefix + self._main()
        self.board.write("/main.py", main.encode())
        self._prefix = prefix

    def prepend(self, source: str) -> None:
        """Let an impatient main.py do this first, until the next `tidy`."""
        self.set_main(source + self.impatient)

    @property
    def impatient(self) -> str:
        """Source that shortens the deadlines."""
        return _IMPATIENT + (_IMPATIENT_GATEWAY if self.way == "gateway" else "")

    def secret(self) -> str | None:
        """What the board's record holds, if it is whole and a secret that the platform gave."""
        try:
            record = json.loads(self.board.read("/device.json") or b"{}")
            secret = record.get("deviceSecret") or record.get("deviceToken")
        except (ValueError, AttributeError):
            return None
        return secret if secret and self.bench.secrets.seen_in(str(secret)) else None

    # --- the platform

    def invalidate(self) -> None:
        """As when an operator resets the device and somebody else registers in its name."""
        self.reset()
        self.bench.platform.registry.issue_secret(self.identity, fresh=True)

    def reset(self) -> None:
        """The operator opens the device's registration again; registration-free ones are void."""
        self.bench.platform.reset(*self.identity)

    def invalidate_subdevices(self) -> None:
        """The same for some of the sub-devices."""
        for names in self.rng.sample(self.subdevices, self.rng.randint(1, len(self.subdevices))):
            self.bench.platform.reset(*names)
            self.bench.platform.registry.issue_secret(names, fresh=True)

    def events(self) -> list[Event]:
        """All that the platform has seen so far."""
        return self.bench.platform.record.events()

    # --- boots

    def power_on(self, cut: Cut | None = None, max_boots: int = 1) -> Session:
        """Switch the board on."""
        self.sums.boots += 1
        self.board.power_cut = cut
        return self.board.power_on(max_boots)

    def follow(
        self,
        session: Session,
        goal: str | None = None,
        tries: int = 10,
        since: int = 0,
        well: tuple[str, ...] = (),
        said: str = SAID,
    ) -> str:
        """Watch the board until it says `goal`, or until it has given up `tries` times.

        goal: a regular expression, the life's own by default. since: character of the output to
        begin at. well: ways for the boot to end by itself that are no failure. said: what it
        says when it gives up.
        Returns "goal", "said", or how it ended. Raises Over for a board that falls silent, and
        for one that stops without need.
        """
        goal = goal or self.goal
        either = re.compile(f"(?P<goal>{goal})|{said}", re.MULTILINE)
        for _ in range(tries):
            ending = session.wait(either.pattern, PATIENCE, since)
            if ending != "until":
                if ending in well:
                    return ending
                self.sums.hangs.append(self.report(ending, session.output))
                raise Over
            found = either.search(session.output[since:])
            assert found is not None  # as `wait` says
            if found["goal"] is not None:
                return "goal"
            since += found.end()
        return "said"

    def boot(
        self, tries: int = 10, cut: Cut | None = None, well: tuple[str, ...] = ()
    ) -> tuple[str, str]:
        """One power cycle, see `follow`: how it ended, and the output."""
        with self.power_on(cut) as session:
            return self.follow(session, tries=tries, well=well), session.output

    def tidy(self) -> None:
        """Take away whatever was done to the board's surroundings."""
        board = self.board
        board.wifi, board.resolve, board.ntp = None, {"*": "127.0.0.1"}, "ok"
        board.flash_fault = None
        self.bench.platform.faults.clear()
        for proxy in (self.bench.https, self.bench.mqtt):
            proxy.expect([])
        self.impostors.trusted.plan.clear()
        if self._prefix != self.impatient:
            self.set_main(self.impatient)

    def lead(self, port: int, server: Impostor) -> None:
        """Let the name and `port` that the board knows lead to another server."""
        where = f"127.0.0.1:{server.port}"
        self.board.resolve = {f"localhost:{port}": where, "*": "127.0.0.1"}

    def clean(self) -> None:
        """Boot without a fault: it must connect, with the valid secret."""
        self.doing += ", then a clean boot"
        ending, output = self.boot(_MOST_TRIES)
        if ending != "goal":  # the host may be too busy for short deadlines
            self.set_main("")
            ending, output = self.boot(_MOST_TRIES)
            self.set_main(self.impatient)
        wrong = "never connected" if ending != "goal" else self._wrong()
        if wrong:
            self.sums.lost.append(self.report(wrong, output))
            raise Over

    def report(self, what: str, output: str) -> str:
        """A line about a problem."""
        return f"{self.doing}: {what}: {output[-300:]!r}"

    # --- what must be on the flash

    def _wrong(self) -> str:
        """What is wrong with what a connected board has stored; "" for nothing."""
        platform = self.bench.platform
        valid = {self.bench.secret_of(self.board.mac)}
        if self.way == "mqtt-free":
            valid = {client.device_token for client in platform.registry.clients(*self.identity)}
        if self.secret() not in valid:
            return "the stored secret is not the platform's"
        if self.way == "gateway":
            return "".join(wrong_subdevices(self.bench, self.board))
        return ""
