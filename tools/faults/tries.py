"""A simulated board that registers or connects, again and again, through a proxy of its own."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from tools.faults.bench import PRODUCT_KEY, Bench, script
from tools.faults.proxy import Fault, Passed, Proxy
from tools.faults.tally import Tally

Exchange = Literal[
    "https",
    "mqtt",
    "mqtt-free",
    "connect",
    "rotate",
    "bootstrap",
    "deployed",
    "relocated",
    "turned back",
]
EXCHANGES: tuple[Exchange, ...] = ("https", "mqtt", "mqtt-free", "connect")
MOVING: tuple[Exchange, ...] = ("rotate", "bootstrap")
"""Exchanges of a device that is moved by bootstrap, or changes its secret."""
BY_HAND: tuple[Exchange, ...] = ("deployed", "relocated", "turned back")
"""Connects of a device that is moved by hand, see `tools.faults.move_tries`."""
TITLES: dict[Exchange, str] = {
    "https": "HTTPS registration",
    "mqtt": "MQTT registration",
    "mqtt-free": "MQTT registration without pre-registration",
    "connect": "MQTT connect",
    "rotate": "rotation of a DeviceSecret",
    "bootstrap": "bootstrap, then a connect",
    "deployed": "connect at the new place, product.json deployed",
    "relocated": "connect at the new place, after Device.relocate",
    "turned back": "connect at the old place, the new one having refused",
}
PATIENT_MS = 60_000
"""A deadline that no host is too busy to keep, for tries that nothing delays."""
END = r"^tried .*\n"
"""What a board says when it has gone through all of its devices."""
_HUNG_MS = 30_000
"""Nor is any host that late: such a try waited somewhere without a deadline."""


@dataclass(frozen=True)
class Try:
    """One try of one device, as tests/device/tries.py tells it.

    ms: how long it took, the host's own slowness with it. waited: ms of it in which it waited for
    the network, none of the host's slowness in them.
    """

    error: str | None
    text: str
    code: int | None
    retry: bool
    ms: int
    waited: int
    stored: int | None
    """CRC-32 of the secret on flash."""
    got: list[int] = field(default_factory=list)
    """Lengths of the messages that came."""
    place: str | None = None
    """What device.json tells of it."""
    at: int | None = None
    """The port, of a device that has several places."""

    @property
    def outcome(self) -> str:
        """ "success" or the type of the error."""
        return self.error or "success"


class Tries:
    """Lets new devices try `exchange`. A context manager; `proxy` is this one's own."""

    def __init__(self, bench: Bench, exchange: Exchange, port: int | None = None) -> None:
        """port: of the server to talk to, where it is not the platform's."""
        self.bench = bench
        self.exchange = exchange
        platform = bench.platform
        https = exchange in ("https", *MOVING)
        own = platform.https_port if https else platform.mqtt_tls_port
        self.proxy = Proxy(port or own)
        self.grown = 0
        """Bytes by which the board's heap grew from its first device to its last."""

    def __enter__(self) -> Tries:
        self.proxy.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.proxy.__exit__(kind, error, trace)

    def run(
        self,
        plans: Sequence[Sequence[Fault]],
        ms: int = 3000,
        timeout: float = 600,
        then: str | None = None,
        **product: Any,
    ) -> tuple[list[str], list[list[Try]], list[list[Passed]]]:
        """One new device for each plan; it tries as often as its plan has faults.

        ms: deadline of each try; the last of several has PATIENT_MS. timeout: seconds for the
        whole. then: what a connected device does, see tests/device/tries.py. product: fields of
        product.json.
        Returns the devices' names, their tries, and what went through the proxy in each.
        """
        tries = len(plans[0])
        names = self.bench.devices(len(plans))
        given, way = self.prepare(names)
        given["ms"] = [ms] * (tries - 1) + [PATIENT_MS if tries > 1 else ms]
        given["then"] = then
        image = self.bench.image(
            self.bench.product(**(way | product)),
            main=script("tries.py"),
            files={"/tries.json": json.dumps(given)},
        )
        before = len(self.proxy.connections)
        self.proxy.expect(fault for plan in plans for fault in plan)
        output = self.boot(image, timeout)
        self.grown = int(output.rpartition("\ntried ")[2].split()[0])
        lines = [line for line in output.splitlines() if line.startswith("try ")]
        told: dict[str, list[Try]] = {name: [] for name in names}
        for line in lines:
            said = json.loads(line[4:])
            told[said["device"]].append(_try(said))
        passed = self.proxy.connections[before:]
        counted = [each for made in told.values() for each in made if each.at == given.get("at")]
        if not len(counted) == len(passed) == len(plans) * tries:
            raise RuntimeError(f"{len(plans)} x {tries}: {len(counted)} tries, {len(passed)} seen")
        starts = range(0, len(passed), tries)
        return names, list(told.values()), [passed[at : at + tries] for at in starts]

    def prepare(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What tests/device/tries.py is told, but for the deadlines; fields of product.json."""
        exchange = self.exchange
        connect = exchange in ("connect", "bootstrap")
        way: dict[str, Any] = {"registerPort": self.proxy.port, "mqttPort": self.proxy.port}
        given: dict[str, Any] = {
            "do": "connect" if connect else "rotate" if exchange == "rotate" else "register",
            # As after any connect before: without it the first one writes it down.
            "place": f"localhost None cn-shanghai {self.proxy.port}" if connect else None,
            "devices": [
                [n, self.bench.secret_of(n) if connect or exchange == "rotate" else None]
                for n in names
            ],
        }
        if exchange == "bootstrap":
            endpoint = f"localhost:{self.proxy.port}"
            way = {"bootstrap": True, "bootstrapHost": endpoint}
            given["place"] = None
        elif exchange not in ("connect", "rotate"):
            way["registration"] = exchange
        return given, way

    def first(self, tried: Sequence[Try]) -> Try:
        """The one that met the fault."""
        return tried[0]

    def elsewhere_late(self, tried: Sequence[Try]) -> bool:
        """Whether a deadline came where no fault was."""
        return False

    def boot(self, image: bytes, timeout: float) -> str:
        """Let a board go through all of its devices: what it said."""
        result = self.bench.board(image).boot(END, timeout)
        if result.ending != "until":
            raise RuntimeError(f"{self.exchange}: {result.ending}: {result.output[-2000:]}")
        return result.output

    def judge(
        self, tally: Tally, case: str, name: str, tried: Sequence[Try], ms: int = 3000
    ) -> None:
        """Check one device: a typed error in time, or success; then success, and one secret."""
        first, last = tried[0], tried[-1]
        if self.exchange == "bootstrap":
            ms *= 2  # a question, then a connect
            if first.error:
                tally.problem(f"{case}: bootstrap keeps it offline: {first.error}: {first.text}")
        if first.error and not first.retry:
            tally.problem(f"{case}: {first.error} is not to be retried: {first.text}")
        if first.waited > ms or first.ms > ms + _HUNG_MS:
            took = f"waited {first.waited} ms, took {first.ms} ms"
            tally.problem(f"{case}: {took}, deadline {ms} ms")
        if last.error:
            tally.problem(f"{case}: the last try: {last.error}: {last.text}")
        elif last.stored not in self._valid(name):
            tally.problem(f"{case}: the stored secret is not the platform's")

    def _valid(self, name: str) -> list[int]:
        if self.exchange == "mqtt-free":
            clients = self.bench.platform.registry.clients(PRODUCT_KEY, name)
            return [zlib.crc32(client.device_token.encode()) for client in clients]
        return [zlib.crc32(self.bench.secret_of(name).encode())]


def _try(told: dict[str, Any]) -> Try:
    return Try(
        told["error"],
        told.get("text", ""),
        told.get("code"),
        told.get("retry", True),
        told["ms"],
        told["waited"],
        told["stored"],
        told["got"],
        told["place"],
        told["at"],
    )
