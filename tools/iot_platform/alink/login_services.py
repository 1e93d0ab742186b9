"""Gateway requests on /ext/session: sub-devices log in and out.

Platform docs "Connect or disconnect sub-devices".
"""

from __future__ import annotations

import re
from typing import Any

from tools.iot_platform.alink.gateway import Gateways, names, read_list, read_names
from tools.iot_platform.alink.topology_services import check_sign
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.codes import Refusal
from tools.iot_platform.rules.names import Identity

_SYSTEM_TOPICS = re.compile(r"[|,]_ss=1[|,]")


class LoginServices:
    """Handlers; each takes the gateway's session and the params and returns the data."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways
        self._registry = gateways.registry
        self._topology = gateways.topology
        self._behaviour = gateways.behaviour
        gateways.handlers |= {
            "/ext/session/combine/login": self.login,
            "/ext/session/combine/batch_login": self.batch_login,
            "/ext/session/combine/logout": self.logout,
            "/ext/session/combine/batch_logout": self.batch_logout,
        }

    def login(self, session: Session, params: Any) -> Any:
        """combine/login: one sub-device."""
        subdevice = read_names(params)
        self._check(session, subdevice, params, params)
        self._check_room(session, [subdevice])
        self._gateways.limit_logins(subdevice)
        self._enter(session, subdevice, params)
        return names(subdevice)

    def batch_login(self, session: Session, params: Any) -> Any:
        """combine/batch_login: up to 50 sub-devices, all or none."""
        device_list = params.get("deviceList") if isinstance(params, dict) else None
        entries = read_list(device_list, self._behaviour.login_batch)
        subdevices = [read_names(entry) for entry in entries]
        for subdevice, entry in zip(subdevices, entries, strict=True):
            # The method is in each entry (document) or beside the list (SDKs).
            self._check(session, subdevice, entry, {**params, **entry})
        self._check_room(session, subdevices)
        for subdevice in subdevices:
            self._gateways.limit_logins(subdevice)
        for subdevice, entry in zip(subdevices, entries, strict=True):
            self._enter(session, subdevice, entry)
        return [names(subdevice) for subdevice in subdevices]

    def logout(self, session: Session, params: Any) -> Any:
        """combine/logout: one sub-device."""
        subdevice = read_names(params)
        self._leave(session, [subdevice])
        return names(subdevice)

    def batch_logout(self, session: Session, params: Any) -> Any:
        """combine/batch_logout: a list, all or none."""
        subdevices = [read_names(entry) for entry in read_list(params)]
        self._leave(session, subdevices)
        return [names(subdevice) for subdevice in subdevices]

    def _check(
        self,
        session: Session,
        subdevice: Identity,
        entry: dict[str, Any],
        methods: dict[str, Any],
    ) -> None:
        device = self._registry.find_device(*subdevice)
        if device is None:
            raise Refusal(6100, f"no device {subdevice}")
        if device.deleted:
            raise Refusal(521)
        if device.disabled:
            raise Refusal(522)
        check_sign(device, entry, methods, self._behaviour.lenient_spelling, wrong=6287)
        if self._topology.gateway_of(subdevice) != session.identity:
            raise Refusal(6401, f"{subdevice} is not in the topology of {session.identity}")

    def _check_room(self, session: Session, subdevices: list[Identity]) -> None:
        online = set(self._gateways.online(session)) | set(subdevices)
        if len(online) > self._behaviour.subdevices_per_gateway:
            raise Refusal(428)

    def _enter(self, session: Session, subdevice: Identity, entry: dict[str, Any]) -> None:
        # The clientId's tail, signed with the rest, is where C 3.x and Python SDKs put _ss=1.
        system_topics = _SYSTEM_TOPICS.search(str(entry["clientId"])) is not None
        self._gateways.set_online(session, subdevice, system_topics)

    def _leave(self, session: Session, subdevices: list[Identity]) -> None:
        for subdevice in subdevices:
            if self._gateways.session_of(subdevice) is not session:
                raise Refusal(520, f"{subdevice} is not online")
        for subdevice in subdevices:
            self._gateways.set_offline(subdevice, "logged out")
