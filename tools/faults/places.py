"""A bench with two instances, between which boards are moved; a proxy before each."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.board import Board
from tools.faults.bench import PRODUCT_KEY, Bench
from tools.faults.proxy import Proxy
from tools.iot_platform import Behaviour, Certificate
from tools.iot_platform.rules.instances import DEFAULT

OLD, NEW = "iot-old00000", "iot-new00000"
_DOMAIN = ".mqtt.iothub.aliyuncs.com"


class TwoPlaces(Bench):
    """Instances `OLD`, where devices are by default, and `NEW`, each with a host of its own.

    Bootstrap tells the platform's own ports; boards find the proxies there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        behaviour: Behaviour | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(folder, behaviour=behaviour, certificate=certificate, instances=[NEW])

    def __enter__(self) -> TwoPlaces:
        super().__enter__()
        instances = self.platform.instances
        for name, label in ((DEFAULT, OLD), (NEW, NEW)):
            instances[name] = dataclasses.replace(instances[name], host=label + _DOMAIN)
        self.old, self.new = instances[DEFAULT], instances[NEW]
        with ExitStack() as stack:
            self.new_mqtt = stack.enter_context(Proxy(self.new.mqtt_tls_port))
            self._more = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._more.close()
        super().__exit__(kind, error, trace)

    def product(self, **fields: Any) -> dict[str, Any]:
        """A product.json that leads to the old instance."""
        place = {"mqttHost": None, "instanceId": OLD, "mqttPort": self.old.mqtt_tls_port}
        return super().product(**(place | fields))

    def asking(self, **fields: Any) -> dict[str, Any]:
        """The same with bootstrap."""
        endpoint = f"localhost:{self.https.port}"
        return self.product(bootstrap=True, bootstrapHost=endpoint, **fields)

    @property
    def at_new(self) -> dict[str, Any]:
        """What leads to the new instance in a product.json of `product`."""
        return {"instanceId": NEW, "mqttPort": self.new.mqtt_tls_port}

    def board(self, image: bytes | None = None, name: str | None = None, **options: Any) -> Board:
        """As of `Bench`; it finds both instances."""
        names = {
            f"*:{self.old.mqtt_tls_port}": f"127.0.0.1:{self.mqtt.port}",
            f"*:{self.new.mqtt_tls_port}": f"127.0.0.1:{self.new_mqtt.port}",
            "*": "127.0.0.1",
        }
        return super().board(image, name, **({"resolve": names} | options))

    def move(self, board: Board, instance: str = NEW) -> bool:
        """Give a board's device to an instance: whether it was told."""
        name = DEFAULT if instance == OLD else instance
        return self.platform.move(PRODUCT_KEY, board.mac, name)

    def connects(self, board: Board, code: int | None = 0) -> list[str]:
        """The instances at which a board connected, or was refused with `code`, in order."""
        return [
            event.details.get("instance", OLD)
            for event in self.platform.record.events("connect", PRODUCT_KEY, board.mac, code)
        ]

    def registrations(self, board: Board) -> int:
        """How many times a board was given a secret."""
        return len(self.platform.record.events("register", PRODUCT_KEY, board.mac, 200))
