"""The local platform put together: everything that runs in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from dataclasses import dataclass, field
from pathlib import Path

from tools.iot_platform.alink.gateway import Gateways
from tools.iot_platform.alink.login_services import LoginServices
from tools.iot_platform.alink.services import Services
from tools.iot_platform.alink.topology_services import TopologyServices
from tools.iot_platform.https.endpoint import Endpoint
from tools.iot_platform.mqtt.broker import Broker
from tools.iot_platform.mqtt.credentials import Authenticator
from tools.iot_platform.network.certificates import Authority, Certificate, shared_authority
from tools.iot_platform.network.listener import Listener
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import MESSAGES
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registration import Registration
from tools.iot_platform.store.registry import Registry
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


class Platform:
    """Registry, record, HTTPS endpoint and MQTT broker. `start` and `stop` in a running loop."""

    def __init__(self, settings: Settings, behaviour: Behaviour) -> None:
        """Opens the database and the CA. Raises OSError, sqlite3.Error."""
        self._settings = settings
        self.behaviour = behaviour
        folder = settings.certificates
        self.authority = shared_authority() if folder is None else Authority(folder)
        self._database = Database(settings.database)
        self.registry = Registry(self._database)
        self.topology = Topology(self._database)
        self.record = Record(self._database)
        self.faults = Faults()
        registration = Registration(self.registry, behaviour)
        self._endpoint = Endpoint(registration, behaviour, self.record, self.faults)
        authenticator = Authenticator(self.registry, registration, behaviour)
        self.broker = Broker(self.registry, authenticator, behaviour, self.record, self.faults)
        self.gateways = Gateways(self.broker, self.registry, self.topology, behaviour, self.record)
        TopologyServices(self.gateways, registration)
        LoginServices(self.gateways)
        self.broker.services = Services(self.gateways, behaviour, self.record, self.faults)
        self._listeners: dict[str, Listener] = {}
        self._flushing: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Listens on the three ports. Raises OSError, naming the port that is taken."""
        _allow_many_files()
        self._flushing = asyncio.ensure_future(self._flush())
        tls = self.authority.server_context(self._settings.certificate)
        ports = {
            "https": self._settings.https_port,
            "mqtt-tls": self._settings.mqtt_tls_port,
            "mqtt-tcp": self._settings.mqtt_tcp_port,
        }
        for name, port in ports.items():
            context = None if name == "mqtt-tcp" else tls
            listener = Listener(name, context, self.record, self.faults)
            self._listeners[name] = listener
            protocol = (
                self._endpoint.server
                if name == "https"
                else self.broker.protocol(listener.announce)
            )
            try:
                self.ports[name] = await listener.start(self._settings.host, port, protocol)
            except OSError as error:
                await self.stop()
                # Python adds an aside to the reason of a failed bind.
                reason = str(error.strerror).partition(" (while ")[0]
                where = f"{name} port {self._settings.host}:{port}"
                raise OSError(error.errno, f"{where}: {reason}") from None

    async def stop(self) -> None:
        """Closes every connection and port, then the database."""
        for listener in self._listeners.values():
            await listener.stop_accepting()
        await self.broker.stop()
        await self._endpoint.server.shutdown(0.1)
        for listener in self._listeners.values():
            await listener.stop()
        if self._flushing is not None:
            self._flushing.cancel()
        self.record.flush()
        self._database.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            self.record.flush()

    # What an operator does

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
        """Deletes a device, which is thrown out if online."""
        gateway = self.topology.gateway_of(device)
        self._throw_out(device, 521)
        self.registry.delete(device)
        self.broker.forget(device)
        self.record.add("admin", device, what="delete")
        if gateway is not None:
            self.gateways.notify_topology_change(gateway, 1, [device])

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
