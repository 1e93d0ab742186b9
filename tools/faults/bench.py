"""A place for experiments: a local platform, a proxy before each of its ports, and boards."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.board import Board, Session
from tools.faults.proxy import Proxy
from tools.faults.secrets import Leak, Secrets
from tools.image import FlashLayout, image_files, make_image
from tools.iot_platform import Behaviour, Certificate, LocalPlatform
from tools.layout import ROOT

PRODUCT_KEY = "a1ExpAkj9Hi"
PRODUCT_SECRET = "Psecret0fTheBench"
WIFI = {"ssid": "bench", "password": "wpa2-0f-the-bench"}
DEVICE_SCRIPTS = ROOT / "tests" / "device"
CONNECTED = r"connected as .*\n"


class WatchedBoard(Board):
    """A board whose serial line is kept."""

    said = b""

    def power_on(self, max_boots: int = 1, echo: Callable[[bytes], None] | None = None) -> Session:
        def listen(data: bytes) -> None:
            self.said += data
            if echo is not None:
                echo(data)

        return super().power_on(max_boots, listen)


class Bench:
    """A running platform with one product. Boards reach it through the proxies only.

    A context manager. Leaving it raises Leak if a secret was seen that `leaks` has not told of,
    unless an exception is under way: whatever is tried on a bench is a test that nothing leaks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        behaviour: Behaviour | None = None,
        certificate: Certificate | None = None,
        database: Path | None = None,
        instances: Sequence[str] = (),
    ) -> None:
        """folder: where the boards are kept."""
        self.platform = LocalPlatform(
            behaviour=behaviour,
            certificate=certificate,
            database=database,
            instances=instances,
        )
        self.secrets = Secrets()
        self.boards: list[WatchedBoard] = []
        self._told: set[str] = set()  # leaks that the caller knows of
        self._folder = folder
        self._stack = ExitStack()
        self._macs: Iterator[int] = itertools.count(0x246F28000001)
        self._numbers: Iterator[int] = itertools.count()

    def __enter__(self) -> Bench:
        with ExitStack() as stack:
            stack.enter_context(self.platform)
            self.https = stack.enter_context(Proxy(self.platform.https_port))
            self.mqtt = stack.enter_context(Proxy(self.platform.mqtt_tls_port))
            self._stack = stack.pop_all()
        self.secrets.add("Wi-Fi password", WIFI["password"])
        self.secrets.watch(self.platform)
        self.platform.registry.add_product(
            PRODUCT_KEY, PRODUCT_SECRET, node_type="gateway", registration_free=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        told = set(self._told)
        if kind is None and (untold := [leak for leak in self.leaks() if leak not in told]):
            raise Leak("; ".join(untold))

    def product(self, **fields: Any) -> dict[str, Any]:
        """A product.json that leads to the proxies; `fields` change it, None takes one out."""
        made = {
            "productKey": PRODUCT_KEY,
            "productSecret": PRODUCT_SECRET,
            "registerHost": "localhost",
            "registerPort": self.https.port,
            "mqttHost": "localhost",
            "mqttPort": self.mqtt.port,
            **fields,
        }
        return {name: value for name, value in made.items() if value is not None}

    def image(
        self,
        product: Mapping[str, Any] | None = None,
        *,
        layout: FlashLayout | None = None,
        **image: Any,
    ) -> bytes:
        """A flash image that trusts the platform; arguments as of `image_files`.

        layout: partition to fill; 4 MB of flash with stock firmware by default.
        """
        content: dict[str, Any] = {
            "wifi": WIFI,
            "roots": [self.platform.ca_der],
            "check": False,
        } | image
        content.setdefault("gateway", True)  # main.py may be another one later
        files = image_files(self.product() if product is None else product, **content)
        return make_image(files, layout or FlashLayout())

    def board(self, image: bytes | None = None, name: str | None = None, **options: Any) -> Board:
        """A board of its own MAC address, pre-registered under it. options: as of `Board`."""
        mac = f"{next(self._macs):012x}" if name is None else name
        if self.platform.registry.find_device(PRODUCT_KEY, mac) is None:
            self.platform.registry.add_device(PRODUCT_KEY, mac)
        # Joining takes no time: hurried waits for it could end before it does.
        hurried: dict[str, Any] = {"hurry": 1000, "join_seconds": 0.0}
        settings = {"resolve": {"*": "127.0.0.1"}} | hurried | options
        board = WatchedBoard(image or self.image(), self._folder / mac, mac=mac, **settings)
        self.boards.append(board)
        return board

    def devices(self, count: int) -> list[str]:
        """Pre-register that many new devices: their names."""
        names = [f"case{next(self._numbers)}" for _ in range(count)]
        self.platform.registry.add_devices(PRODUCT_KEY, names)
        return names

    def leaks(self) -> list[str]:
        """The secrets that a serial line or the platform's record has shown: none may be."""
        found = []
        for board in self.boards:
            for name in self.secrets.seen_in(board.said):
                found.append(f"{name} on the serial line of {board.mac}")
        record = self.platform.record
        shown = "\n".join(repr(entry) for entry in [*record.events(), *record.messages()])
        found += [f"{name} in the platform's record" for name in self.secrets.seen_in(shown)]
        self._told.update(found)
        return found

    def secret_of(self, name: str) -> str:
        """The DeviceSecret that the platform holds to be the valid one."""
        return self.platform.registry.device(PRODUCT_KEY, name).device_secret

    def stored_secret(self, board: Board) -> str | None:
        """The DeviceSecret on a board's flash. The power must be off."""
        data = board.read("/device.json")
        return str(json.loads(data)["deviceSecret"]) if data else None


def script(name: str) -> str:
    """Source of a script of tests/device, to be a board's main.py."""
    return (DEVICE_SCRIPTS / name).read_text("utf-8")
