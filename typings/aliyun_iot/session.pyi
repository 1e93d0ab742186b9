from collections.abc import Callable
from typing import Any

from .device import Device

Payload = str | bytes | bytearray | memoryview
Topic = str | bytes

class Session:
    timeout: int
    connect_timeout: int
    limit: int
    product_key: str
    device_name: str
    server: str
    """Host name of the platform."""
    port: int
    """Its port."""
    keepalive: int
    """Seconds."""
    topics: list[bytes]
    """What is subscribed, and subscribed again by each connect."""
    kicked: bool
    """Whether another connection of this identity ended this one."""
    device: Device
    """The Device whose session it is, if `Device.connect` or `run` made it."""
    given_up: tuple[bytes, bytes] | None
    """(topic, payload) of a QoS 1 message that was tried three times in vain, or None."""

    def __init__(
        self,
        product_key: str,
        device_name: str,
        host: str,
        port: int,
        keepalive: int,
        context: Any,
    ) -> None: ...
    def topic(self, tail: str) -> str: ...
    def connect(self, packet: bytes) -> None: ...
    def publish(
        self, topic: Topic, payload: Payload, retain: bool = False, qos: int = 0
    ) -> None: ...
    def subscribe(self, topic: Topic, qos: int = 0) -> None: ...
    def wait(self, ms: int) -> tuple[bytes, bytes] | None: ...
    def take(self) -> tuple[bytes, bytes] | None: ...
    def close(self) -> None: ...
    def set_callback(self, function: Callable[[bytes, bytes], object] | None) -> None: ...
    def check_msg(self) -> None: ...
    def wait_msg(self) -> None: ...
    def ping(self) -> None:
        """umqtt's: as `check_msg`; the session pings by itself when it is time."""
    def disconnect(self) -> None:
        """umqtt's: as `close`."""
