"""The local platform put together: everything that runs in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import resource
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.iot_platform.alink.gateway import Gateways
from tools.iot_platform.alink.login_services import LoginServices
from tools.iot_platform.alink.rrpc import Rrpc
from tools.iot_platform.alink.services import Services
from tools.iot_platform.alink.topology_services import TopologyServices
from tools.iot_platform.console.guard import is_loopback
from tools.iot_platform.console.server import Console, ConsoleSettings
from tools.iot_platform.https.bootstrap import Bootstrap
from tools.iot_platform.https.endpoint import Endpoint
from tools.iot_platform.mqtt.broker import Broker
from tools.iot_platform.mqtt.credentials import Authenticator
from tools.iot_platform.network.certificates import (
    Authority,
    Certificate,
    Problem,
    shared_authority,
)
from tools.iot_platform.network.listener import Listener
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import MESSAGES
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.instances import DEFAULT, Instance, read_instance
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.places import Places
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registration import Registration
from tools.iot_platform.store.registry import Registry
from tools.iot_platform.store.statuses import Statuses
from tools.iot_platform.store.switches import Switches
from tools.iot_platform.store.topology import Topology

_FLUSH = 0.5
"""Seconds after which an event is in the database at the latest."""


@dataclass(frozen=True)
class Settings:
    """Where the platform listens and keeps things. Port 0: any free one; None: in memory."""

    host: str = "127.0.0.1"
    https_port: int = 0
    mqtt_tls_port: int = 0
    mqtt_tcp_port: int = 0
    database: Path | None = None
    certificates: Path | None = None
    certificate: Certificate = field(default_factory=Certificate)
    instances: tuple[str, ...] = ()
    """Further instances, as `read_instance` takes them."""
    console: ConsoleSettings | None = None


class Platform:
    """Registry, record, HTTPS endpoint and MQTT broker. `start` and `stop` in a running loop."""

    def __init__(self, settings: Settings, behaviour: Behaviour) -> None:
        """Opens the database and the CA. Raises OSError, sqlite3.Error, ValueError."""
        host = settings.certificate.names[0] if settings.certificate.names else "localhost"
        self._wanted = [read_instance(text, host) for text in settings.instances]
        names = [instance.name for instance in self._wanted]
        if len(set(names)) < len(names):
            raise ValueError(f"instances {', '.join(names)}: one is there twice")
        ports = settings.mqtt_tls_port, settings.mqtt_tcp_port
        self._wanted.insert(0, Instance(DEFAULT, host, *ports))
        self.instances: dict[str, Instance] = {}
        self._settings = settings
        self.behaviour = behaviour
        folder = settings.certificates
        self.authority = shared_authority() if folder is None else Authority(folder)
        self.database = Database(settings.database)
        self.registry = Registry(self.database)
        self.topology = Topology(self.database)
        self.record = Record(self.database)
        self.faults = Faults()
        self.switches = self.faults.switches = Switches(self.database)
        self.statuses = Statuses(self.database)
        self._places = Places(self.database)
        registration = Registration(self.registry, behaviour)
        bootstrap = Bootstrap(self.registry, self._places, self.instances, behaviour)
        self._endpoint = Endpoint(registration, bootstrap, behaviour, self.record, self.faults)
        authenticator = Authenticator(
            self.registry, registration, self._places, self.instances, behaviour
        )
        self.broker = Broker(self.registry, authenticator, behaviour, self.record, self.faults)
        self.gateways = Gateways(self.broker, self.registry, self.topology, behaviour, self.record)
        TopologyServices(self.gateways, registration)
        LoginServices(self.gateways)
        self.rrpc = Rrpc(self.broker)
        self.broker.services = Services(
            self.gateways, self.rrpc, behaviour, self.record, self.faults
        )
        self._listeners: dict[str, Listener] = {}
        self._flushing: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}
        self.console: Console | None = None
        if settings.console is not None:
            self.record.watch(lambda event, _: self.statuses.note(event))
            tls = None
            if not is_loopback(settings.console.host):
                tls = self.authority.server_context(settings.certificate)
            self.console = Console(self, settings.console, tls)

    async def start(self) -> None:
        """Listens on all ports. Raises OSError, naming the port that is taken."""
        _allow_many_files()
        self._flushing = asyncio.ensure_future(self._flush())
        tls = self.authority.server_context(self._settings.certificate)
        try:
            self.ports["https"] = await self._listen(
                "https", tls, self._settings.https_port, lambda _: self._endpoint.server
            )
            for wanted in self._wanted:
                await self._serve(wanted, tls)
            if self.console is not None:
                self.ports["console"] = await self.console.start()
        except OSError:
            await self.stop()
            raise

    async def _serve(self, wanted: Instance, tls: ssl.SSLContext) -> None:
        """Listens on the two ports of an instance."""
        suffix = "" if wanted.name == DEFAULT else f" {wanted.name}"

        def protocol(listener: Listener) -> Callable[[], asyncio.BaseProtocol]:
            return self.broker.protocol(listener.announce, wanted.name)

        for name, context, port in (
            (f"mqtt-tls{suffix}", tls, wanted.mqtt_tls_port),
            (f"mqtt-tcp{suffix}", None, wanted.mqtt_tcp_port),
        ):
            self.ports[name] = await self._listen(name, context, port, protocol)
        self.instances[wanted.name] = Instance(
            wanted.name,
            wanted.host,
            self.ports[f"mqtt-tls{suffix}"],
            self.ports[f"mqtt-tcp{suffix}"],
        )

    async def _listen(
        self,
        name: str,
        context: ssl.SSLContext | None,
        port: int,
        protocol: Callable[[Listener], Callable[[], asyncio.BaseProtocol]],
    ) -> int:
        listener = Listener(name, context, self.record, self.faults, self._wrong_tls)
        self._listeners[name] = listener
        try:
            return await listener.start(self._settings.host, port, protocol(listener))
        except OSError as error:
            # Python adds an aside to the reason of a failed bind.
            reason = str(error.strerror).partition(" (while ")[0]
            where = f"{name} port {self._settings.host}:{port}"
            raise OSError(error.errno, f"{where}: {reason}") from None

    async def stop(self) -> None:
        """Closes every connection and port, then the database."""
        if self.console is not None:
            await self.console.stop()
        for listener in self._listeners.values():
            await listener.stop_accepting()
        await self.broker.stop()
        await self._endpoint.server.shutdown(0.1)
        for listener in self._listeners.values():
            await listener.stop()
        if self._flushing is not None:
            self._flushing.cancel()
        self.record.flush()
        self.database.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            self.record.flush()

    def _wrong_tls(self, address: str) -> ssl.SSLContext | None:
        """TLS settings with a wrong certificate when a device's switch asks for it."""
        taken = self.switches.take_certificate(address)
        if taken is None:
            return None
        device, name = taken
        problem = Problem[name.upper().replace("-", "_")]
        self.record.add("fault", device, what=f"certificate: {problem.value}", address=address)
        return self.authority.server_context(
            dataclasses.replace(self._settings.certificate, problem=problem)
        )

    @property
    def host(self) -> str:
        """The address the endpoints listen on."""
        return self._settings.host

    # What an operator does

    def publish(self, device: Identity, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Sends a message to a device or an online sub-device; whether it was sent or queued."""
        return self.broker.publish(device, topic, payload, qos)

    def unbind(self, device: Identity) -> bool:
        """Takes a sub-device from its gateway and tells the gateway; whether it had one."""
        return self.gateways.unbind(device)

    def online_devices(self) -> set[Identity]:
        """The devices that are connected, or logged in by their gateway."""
        return self.broker.connected() | self.gateways.logged_in()

    def disconnect(self, device: Identity) -> bool:
        """Closes a device's connections, or throws a sub-device out; whether there was one."""
        sessions = self.broker.sessions(device)
        for session in sessions:
            session.close("disconnected by the platform")
        was_online = self.gateways.session_of(device) is not None
        if was_online:
            self.gateways.force_offline(device, 427)
        return bool(sessions) or was_online

    def online(self, device: Identity) -> bool:
        """Whether a device is connected, or logged in by its gateway."""
        return bool(self.broker.sessions(device)) or self.gateways.session_of(device) is not None

    def reset(self, device: Identity) -> None:
        """As ResetThing: registration is open again; a gateway loses its topology."""
        for subdevice in self.topology.subdevices(device):
            self.gateways.unbind(subdevice)
        self.registry.reset(device)
        self.broker.forget_clients(device)
        self.record.add("admin", device, what="reset")

    def set_disabled(self, device: Identity, disabled: bool) -> None:
        """Disables a device, which is thrown out if online, or enables it."""
        self.registry.set_disabled(device, disabled)
        self.record.add("admin", device, what="disable" if disabled else "enable")
        status = self.behaviour.topo_change_disable
        if disabled:
            self._throw_out(device, 522)
        else:
            status = self.behaviour.topo_change_enable
        gateway = self.topology.gateway_of(device)
        if gateway is not None:
            self.gateways.notify_topology_change(gateway, status, [device])

    def delete(self, device: Identity) -> None:
        """Deletes a device, which is thrown out if online; a gateway loses its topology."""
        self.registry.device(*device)
        for subdevice in self.topology.subdevices(device):
            self.gateways.unbind(subdevice)
        gateway = self.topology.gateway_of(device)
        self._throw_out(device, 521)
        self.registry.delete(device)
        self.broker.forget(device)
        self.switches.clear(device)
        self.record.add("admin", device, what="delete")
        if gateway is not None:
            self.gateways.notify_topology_change(gateway, 1, [device])

    def notify_bootstrap(self, device: Identity, cmd: int = 0) -> bool:
        """Tells a connected device to ask again where to connect; returns whether it was sent."""
        return self.gateways.request(device, "thing/bootstrap/notify", {"cmd": cmd})

    def move(self, device: Identity, instance: str) -> bool:
        """Moves a device to another instance and tells it, if it is connected; whether it was."""
        if instance not in self.instances:
            there = ", ".join(self.instances)
            raise ValueError(f"no instance {instance!r}; expected {there}")
        if self.registry.device(*device).deleted:
            raise KeyError(f"no device {device}")
        self._places.move(device, instance)
        self.record.add("admin", device, what=f"moved to instance {instance}")
        return bool(self.broker.sessions(device)) and self.notify_bootstrap(device)

    def _throw_out(self, device: Identity, code: int) -> None:
        for session in self.broker.sessions(device):
            session.close(MESSAGES[code])
        self.gateways.force_offline(device, code)


def _allow_many_files() -> None:
    """Raises this process's soft limit of open files: a client needs one, 500 are expected."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
