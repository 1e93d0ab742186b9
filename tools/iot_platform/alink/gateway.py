"""Gateways and sub-devices: who is online through whom, and what the cloud tells gateways."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tools.iot_platform.mqtt.broker import Broker
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import LOGIN_RATE, MESSAGES, Refusal
from tools.iot_platform.rules.names import Identity, is_device_name, is_product_key
from tools.iot_platform.rules.rate import Rate
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registry import Registry
from tools.iot_platform.store.topology import Topology


@dataclass(frozen=True)
class Online:
    """A sub-device that is logged in."""

    session: Session
    system_topics: bool


class Gateways:
    """State shared by the gateway services. Online state is in memory: it ends with a session."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        topology: Topology,
        behaviour: Behaviour,
        record: Record,
    ) -> None:
        self.registry = registry
        self.topology = topology
        self.behaviour = behaviour
        self.record = record
        self.handlers: dict[str, Callable[[Session, Any], Any]] = {}
        """By topic without the gateway's names, such as /sys/thing/topo/add."""
        self._broker = broker
        self._online: dict[Identity, Online] = {}
        self._of_session: dict[Session, dict[Identity, None]] = {}
        self._logins = Rate()
        self._numbers = itertools.count(1)

    # Online state

    def session_of(self, subdevice: Identity) -> Session | None:
        """The gateway's session through which a sub-device is online."""
        online = self._online.get(subdevice)
        return online.session if online else None

    def wants(self, subdevice: Identity) -> bool:
        """Whether the sub-device's own login asked for its system topics."""
        online = self._online.get(subdevice)
        return online is not None and online.system_topics

    def logged_in(self) -> set[Identity]:
        """The sub-devices online through any gateway."""
        return set(self._online)

    def online(self, session: Session) -> list[Identity]:
        """The sub-devices online through a session."""
        return list(self._of_session.get(session, ()))

    def set_online(self, session: Session, subdevice: Identity, system_topics: bool) -> None:
        """Brings a sub-device online; wherever else it was online, it is thrown out (427)."""
        older = self._online.get(subdevice)
        if older is not None and older.session is not session:
            self.force_offline(subdevice, 427)
        for direct in self._broker.sessions(subdevice):
            self._broker.kick(direct)
        self._online[subdevice] = Online(session, system_topics)
        self._of_session.setdefault(session, {})[subdevice] = None
        if self.registry.activate(subdevice):
            self.record.add("activate", subdevice)
        self.record.add("online", subdevice, gateway=str(session.identity))

    def set_offline(self, subdevice: Identity, reason: str) -> bool:
        """Takes a sub-device offline; returns whether it was online."""
        online = self._online.pop(subdevice, None)
        if online is None:
            return False
        mine = self._of_session[online.session]
        del mine[subdevice]
        if not mine:
            del self._of_session[online.session]
        self.record.add("offline", subdevice, gateway=str(online.session.identity), reason=reason)
        return True

    def force_offline(self, subdevice: Identity, code: int) -> None:
        """Takes a sub-device offline and tells its gateway why on /ext/error."""
        session = self.session_of(subdevice)
        if session is not None:
            self.set_offline(subdevice, MESSAGES[code])
            self.notice(session.identity, code, MESSAGES[code], subdevice=subdevice)

    def session_ended(self, session: Session, reason: str) -> None:
        """Takes offline whatever was online through a session."""
        for subdevice in self.online(session):
            self.set_offline(subdevice, f"gateway: {reason}")

    def limit_logins(self, subdevice: Identity) -> None:
        """Counts a login; raises Refusal 429 past the limit."""
        limit = self.behaviour.logins_per_minute
        if not self._logins.allow(subdevice, limit):
            raise Refusal(429, "logins", LOGIN_RATE)

    def forget(self, device: Identity) -> None:
        """Drops the messages kept for a device that was deleted."""
        self._broker.forget(device)

    # From the cloud

    def publish(self, device: Identity, topic: str, payload: bytes) -> bool:
        """Sends a message to a device or sub-device, QoS 0."""
        return self._broker.publish(device, topic, payload)

    def notice(
        self,
        gateway: Identity,
        code: int,
        message: str,
        number: str | None = None,
        subdevice: Identity | None = None,
    ) -> None:
        """A notice on /ext/error: a sub-device was forced offline, or a message failed."""
        body: dict[str, Any] = {
            "id": number or str(next(self._numbers)),
            "code": code,
            "message": message,
        }
        if subdevice is not None:
            body["data"] = names(subdevice)
        self.record.add("notice", gateway, code, message=message, subdevice=subdevice)
        self.publish(gateway, f"/ext/error/{gateway}", compact(body))

    def request(self, gateway: Identity, tail: str, params: Any) -> bool:
        """A request of the cloud to a gateway, on /sys/PK/DN/ + tail; returns whether sent."""
        body = {
            "id": str(next(self._numbers)),
            "version": "1.0",
            "params": params,
            "method": tail.replace("/", "."),
        }
        return self.publish(gateway, f"/sys/{gateway}/{tail}", compact(body))

    def notify_topology_add(self, gateway: Identity, subdevices: Iterable[Identity]) -> bool:
        """Asks a gateway to add sub-devices to its topology."""
        return self.request(gateway, "thing/topo/add/notify", [names(s) for s in subdevices])

    def notify_topology_change(
        self, gateway: Identity, status: int, subdevices: Iterable[Identity]
    ) -> bool:
        """Tells a gateway of a change: 0 created, 1 deleted, 2 enabled, 8 disabled."""
        params = {"status": status, "subList": [names(s) for s in subdevices]}
        return self.request(gateway, "thing/topo/change", params)

    def unbind(self, subdevice: Identity, notice: int = 6401) -> bool:
        """The cloud takes a sub-device from its gateway, and says so; whether it had one."""
        gateway = self.topology.gateway_of(subdevice)
        self.topology.unbind([subdevice])
        self.force_offline(subdevice, notice)
        if gateway is not None:
            self.notify_topology_change(gateway, 1, [subdevice])
        return gateway is not None


def names(identity: Identity) -> dict[str, str]:
    """The two names of a device as the platform writes them in JSON."""
    return {"deviceName": identity.device_name, "productKey": identity.product_key}


def compact(body: Any) -> bytes:
    """JSON without any space: the C SDK 4.x cannot read another."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def read_list(params: Any, most: int | None = None) -> list[dict[str, Any]]:
    """The entries of a batch. Raises Refusal 460: no list, empty, too long, odd, twice."""
    if not isinstance(params, list) or not params:
        raise Refusal(460, "params is no list, or an empty one")
    if most is not None and len(params) > most:
        raise Refusal(460, f"more than {most} entries")
    seen: set[Identity] = set()
    for entry in params:
        identity = read_names(entry)
        if identity in seen:
            raise Refusal(460, f"{identity} is there twice")
        seen.add(identity)
    return params


def read_names(entry: Any) -> Identity:
    """The names of one entry. Raises Refusal 460."""
    if not isinstance(entry, dict):
        raise Refusal(460, "an entry is no object")
    identity = Identity(entry.get("productKey", ""), entry.get("deviceName", ""))
    if not is_product_key(identity.product_key) or not is_device_name(identity.device_name):
        raise Refusal(460, "productKey or deviceName outside the rules")
    return identity


def read_texts(entry: dict[str, Any], *fields: str) -> dict[str, str]:
    """Fields that must be text (or a number, as some SDKs send a timestamp). Refusal 460."""
    texts = {}
    for name in fields:
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            raise Refusal(460, f"{name} is missing or no text")
        texts[name] = str(value)
    return texts
