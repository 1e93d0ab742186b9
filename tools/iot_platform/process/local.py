"""The local platform in a thread of its own, for tests and for commands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tools.iot_platform.console.device_requests import DeviceRequests
from tools.iot_platform.console.server import ConsoleSettings
from tools.iot_platform.network.certificates import Certificate
from tools.iot_platform.process.platform import Platform, Settings
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.instances import read_instance
from tools.iot_platform.rules.limits import PAYLOAD_BYTES
from tools.iot_platform.rules.names import Identity, check_topic

T = TypeVar("T")
Names = tuple[str, str]
_DEADLINE = 10.0


class LocalPlatform:
    """A running IoT Platform on this machine.

        with LocalPlatform(behaviour=Behaviour(...)) as platform:
            platform.registry.add_product("a1ExpAkj9Hi", "ffFnFlKQW3HYjjPR")
            platform.registry.add_device("a1ExpAkj9Hi", "Example_dyn1")
            ... platform.https_port, platform.mqtt_tls_port, platform.ca_der ...

    All methods may be called from any thread but the platform's own.
    """

    def __init__(
        self,
        *,
        behaviour: Behaviour | None = None,
        host: str = "127.0.0.1",
        https_port: int = 0,
        mqtt_tls_port: int = 0,
        mqtt_tcp_port: int = 0,
        database: Path | None = None,
        certificates: Path | None = None,
        certificate: Certificate | None = None,
        instances: Sequence[str] = (),
        console: ConsoleSettings | None = None,
    ) -> None:
        """Ports: 0 is any free one. database, certificates (a folder): None is in memory.

        instances: MQTT endpoints beside the default one, between which devices can be moved, as
        NAME or NAME:TLS_PORT:TCP_PORT. console: None: there is none. Raises ValueError when an
        instance is neither.
        """
        for text in instances:
            read_instance(text, "")
        settings = Settings(
            host,
            https_port,
            mqtt_tls_port,
            mqtt_tcp_port,
            database,
            certificates,
            certificate or Certificate(),
            tuple(instances),
            console,
        )
        self.behaviour = behaviour or Behaviour()
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="iot-platform", daemon=True)

    def start(self) -> LocalPlatform:
        """Starts and returns once all ports listen. Raises OSError, sqlite3.Error, ValueError."""
        self._thread.start()
        try:
            self._platform = self._run(self._make())
        # Whatever it is, Ctrl-C too, goes on; only the thread must not stay.
        except BaseException:
            self._end()
            raise
        self.registry = self._platform.registry
        self.topology = self._platform.topology
        self.record = self._platform.record
        self.faults = self._platform.faults
        self.instances = self._platform.instances
        self.https_port = self._platform.ports["https"]
        self.mqtt_tls_port = self._platform.ports["mqtt-tls"]
        self.mqtt_tcp_port = self._platform.ports["mqtt-tcp"]
        self.switches = self._platform.switches
        console = self._platform.console
        self.console_url = console.url if console is not None else ""
        return self

    def stop(self) -> None:
        """Closes all connections and ports; returns when nothing is left running."""
        try:
            self._run(self._platform.stop())
        finally:
            self._end()

    def __enter__(self) -> LocalPlatform:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def ca_der(self) -> bytes:
        """The platform's root certificate, DER."""
        return self._platform.authority.der

    @property
    def ca_pem(self) -> bytes:
        """The platform's root certificate, PEM."""
        return self._platform.authority.pem

    # Devices

    def publish(
        self, product_key: str, device_name: str, topic: str, payload: bytes, qos: int = 0
    ) -> bool:
        """Sends a message to a device or an online sub-device.

        Returns whether it was sent (or queued: QoS 1, clean session 0); if not, the record tells
        why. Raises ValueError for a topic that is none.
        """
        check_topic(topic)
        if len(payload) > PAYLOAD_BYTES:
            raise ValueError(f"payload of {len(payload)} bytes: expected at most {PAYLOAD_BYTES}")
        if qos not in (0, 1):
            raise ValueError(f"QoS {qos}: expected 0 or 1")
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.broker.publish(device, topic, payload, qos))

    def rrpc(
        self,
        product_key: str,
        device_name: str,
        payload: bytes,
        topic: str | None = None,
        timeout: float = 8.0,
    ) -> bytes:
        """Asks a device and returns its answer.

        topic: one of the device's own, or None for the system's; timeout: seconds. Raises
        LookupError (it cannot be asked), TimeoutError (no answer), ValueError (no such topic).
        """
        if topic is not None:
            check_topic(topic)
        device = Identity(product_key, device_name)
        return self._run(
            self._platform.rrpc.ask(device, payload, topic, timeout), timeout + _DEADLINE
        )

    def online(self, product_key: str, device_name: str) -> bool:
        """Whether a device is connected, or a sub-device logged in."""
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.online(device))

    def disconnect(self, product_key: str, device_name: str) -> bool:
        """Closes a device's connection, or forces a sub-device offline; whether there was one."""
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.disconnect(device))

    def reset(self, product_key: str, device_name: str) -> None:
        """As the cloud API ResetThing. Raises KeyError."""
        device = Identity(product_key, device_name)
        self._call(lambda: self._platform.reset(device))

    def disable(self, product_key: str, device_name: str) -> None:
        """Disables a device; an online one is thrown out. Raises KeyError."""
        device = Identity(product_key, device_name)
        self._call(lambda: self._platform.set_disabled(device, True))

    def enable(self, product_key: str, device_name: str) -> None:
        """Enables a device again. Raises KeyError."""
        device = Identity(product_key, device_name)
        self._call(lambda: self._platform.set_disabled(device, False))

    def delete(self, product_key: str, device_name: str) -> None:
        """Deletes a device; an online one is thrown out. Raises KeyError."""
        device = Identity(product_key, device_name)
        self._call(lambda: self._platform.delete(device))

    # Fault switches of one device, as `console.fault_requests` takes and shows them

    def set_fault(
        self, product_key: str, device_name: str, fault: str, **settings: Any
    ) -> list[dict[str, Any]]:
        """Switches a fault on; the faults that are on then. Raises ApiError.

        settings: times (1; None: until it is switched off), seconds, code, address, problem.
        """
        return self._faults(product_key, device_name, "set", {"fault": fault, **settings})

    def clear_faults(self, product_key: str, device_name: str) -> list[dict[str, Any]]:
        """Switches all faults off. Raises ApiError."""
        return self._faults(product_key, device_name, "clear", {})

    def faults_of(self, product_key: str, device_name: str) -> list[dict[str, Any]]:
        """The faults that are on. Raises ApiError."""
        return self._faults(product_key, device_name, "list", {})

    def _faults(
        self, product_key: str, device_name: str, what: str, given: dict[str, Any]
    ) -> list[dict[str, Any]]:
        requests = DeviceRequests(self._platform).faults
        names = {"productKey": product_key, "deviceName": device_name}
        handler = {"set": requests.set, "clear": requests.clear, "list": requests.list}[what]
        shown: list[dict[str, Any]] = self._call(lambda: handler(names, given)["items"])
        return shown

    # Instances

    def move(self, product_key: str, device_name: str, instance: str) -> bool:
        """Moves a device to an instance, where alone it may connect from now on.

        One that is connected is told to ask bootstrap again, and stays until it leaves by itself.
        Returns whether it was told. Raises KeyError (no device), ValueError (no instance).
        """
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.move(device, instance))

    def notify_bootstrap(self, product_key: str, device_name: str, cmd: int = 0) -> bool:
        """Sends thing/bootstrap/notify: 0 is to ask bootstrap again; returns whether sent."""
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.notify_bootstrap(device, cmd))

    # Gateways; `gateway` and `subdevices` are (ProductKey, DeviceName)

    def subdevices_online(self, gateway: Names) -> list[Identity]:
        """The sub-devices online through a gateway."""
        broker, gateways = self._platform.broker, self._platform.gateways

        def listed() -> list[Identity]:
            sessions = broker.sessions(Identity(*gateway))
            return [name for session in sessions for name in gateways.online(session)]

        return self._call(listed)

    def notify_topology_add(self, gateway: Names, subdevices: Iterable[Names]) -> bool:
        """Asks a gateway to add sub-devices (thing/topo/add/notify); whether it was sent."""
        wanted = [Identity(*names) for names in subdevices]
        gateways = self._platform.gateways
        return self._call(lambda: gateways.notify_topology_add(Identity(*gateway), wanted))

    def notify_topology_change(
        self, gateway: Names, status: int, subdevices: Iterable[Names]
    ) -> bool:
        """Tells a gateway of a change (thing/topo/change): 0 created, 1 deleted, 2 and 8."""
        changed = [Identity(*names) for names in subdevices]
        gateways = self._platform.gateways
        return self._call(
            lambda: gateways.notify_topology_change(Identity(*gateway), status, changed)
        )

    def unbind(self, product_key: str, device_name: str) -> bool:
        """Takes a sub-device from its gateway, as the console does, and tells the gateway.

        Returns whether it had one.
        """
        device = Identity(product_key, device_name)
        return self._call(lambda: self._platform.gateways.unbind(device))

    # The thread

    async def _make(self) -> Platform:
        platform = Platform(self._settings, self.behaviour)
        await platform.start()
        return platform

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._run(call())

    def _run(self, work: Coroutine[Any, Any, T], timeout: float = _DEADLINE) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        async def finish() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self._run(finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE)
        self._loop.close()
