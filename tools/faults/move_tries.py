"""Connects of a device that is moved by hand, one of its two places behind a proxy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tools.faults.bench import PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces
from tools.faults.tally import Tally
from tools.faults.tries import END, Exchange, Tries, Try

_MOVING = re.compile(rb"moving (\S+)\r?\n")


class MovedTries(Tries):
    """One Device makes all tries of its plan, and stays a Device in between.

    deployed: the platform has moved it, product.json names the new place, device.json the old one.
    relocated: the same by `Device.relocate`, called while it is online at the old place.
    turned back: product.json names the new place, the platform has not moved it.
    Faults meet it where it belongs; in between the other place refuses it.
    """

    def __init__(self, bench: TwoPlaces, exchange: Exchange) -> None:
        self.places = bench
        instance = bench.old if exchange == "turned back" else bench.new
        super().__init__(bench, exchange, instance.mqtt_tls_port)

    def prepare(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        back = self.exchange == "turned back"
        port = self.proxy.port
        old_port = port if back else self.places.old.mqtt_tls_port
        new = {**self.places.at_new} if back else {"instanceId": NEW, "mqttPort": port}
        relocated = self.exchange == "relocated"
        if self.exchange == "deployed":
            for name in names:
                self.places.platform.move(PRODUCT_KEY, name, NEW)
        given = {
            "do": "connect",
            "place": f"None {OLD} cn-shanghai {old_port}",
            "at": port,
            "relocate": new if relocated else None,
            "devices": [[name, self.bench.secret_of(name)] for name in names],
        }
        return given, {} if relocated else new

    def boot(self, image: bytes, timeout: float) -> str:
        said = b""

        def listen(data: bytes) -> None:
            nonlocal said
            said += data
            while moving := _MOVING.search(said):
                said = said[moving.end() :]
                self.places.platform.move(PRODUCT_KEY, moving[1].decode(), NEW)

        board = self.bench.board(image)
        with board.power_on(echo=listen) as session:
            if session.wait(END, timeout) != "until":
                raise RuntimeError(f"{self.exchange}: {session.output[-2000:]}")
            return session.output

    def first(self, tried: Sequence[Try]) -> Try:
        return next(each for each in tried if each.at == self.proxy.port)

    def elsewhere_late(self, tried: Sequence[Try]) -> bool:
        there = [each for each in tried if each.at != self.proxy.port]
        return any(each.text.endswith("no answer in time") for each in there)

    def judge(
        self, tally: Tally, case: str, name: str, tried: Sequence[Try], ms: int = 3000
    ) -> None:
        """As of `Tries`; and each other place refused it, it never registered, and flash tells
        where it is."""
        here = [each for each in tried if each.at == self.proxy.port]
        super().judge(tally, case, name, here, ms)
        for each in tried:
            if each not in here and (each.code != 4 or not each.retry):
                tally.problem(f"{case}: at the other place: {each.outcome}: {each.text}")
        if self.bench.platform.record.events("register", PRODUCT_KEY, name):
            tally.problem(f"{case}: it asked to register")
        place = OLD if self.exchange == "turned back" else NEW
        if (tried[-1].place or "").split(" ")[1:2] != [place]:
            tally.problem(f"{case}: device.json tells another place")
