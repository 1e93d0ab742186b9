"""From a new connection to its login: the first packet, and the CONNACK of who is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.connection import Connection
from tools.iot_platform.mqtt.credentials import Authenticator, ConnectRefused, Login
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.instances import DEFAULT
from tools.iot_platform.store.record import Record

_logger = logging.getLogger(__name__)
_FIRST_PACKET = 15.0
"""Seconds a client has from the connection to its CONNECT."""


class Arrivals:
    """Connections, and what becomes of their CONNECT."""

    def __init__(
        self,
        authenticator: Authenticator,
        record: Record,
        faults: Faults,
        begin: Callable[[Login, Connection], None],
    ) -> None:
        """begin: called with each login that was accepted; it answers and sets the callbacks."""
        self._authenticator = authenticator
        self._record = record
        self._faults = faults
        self._begin = begin
        self._connections: set[Connection] = set()

    def protocol(
        self, announce: Callable[[asyncio.BaseTransport], None], instance: str
    ) -> Callable[[], Connection]:
        """Makes the protocol of each connection to an instance; announce: notes handshakes."""

        def made(connection: Connection, transport: asyncio.BaseTransport) -> None:
            announce(transport)
            self._welcome(connection)

        return lambda: Connection(made, instance)

    def close(self, reason: str) -> None:
        """Closes every connection."""
        for connection in list(self._connections):
            connection.close(reason)

    def gone(self, connection: Connection) -> None:
        """A connection that has a session is over."""
        self._connections.discard(connection)

    def _welcome(self, connection: Connection) -> None:
        def gone(reason: str) -> None:
            self._connections.discard(connection)
            why = f"no CONNECT: {reason}"
            self._record.add("disconnect", peer=connection.peer, reason=why)

        def arrived(packet: packets.Packet) -> None:
            assert isinstance(packet, packets.Connect)  # the decoder takes no other first
            self._arrived(connection, packet)

        connection.on_packet = arrived
        connection.on_end = gone
        connection.deadline(_FIRST_PACKET, "waited too long")
        self._connections.add(connection)

    def _arrived(self, connection: Connection, packet: packets.Connect) -> None:
        connection.on_end = lambda reason: self._connections.discard(connection)
        slow = self._faults.take_switch(_names(packet), "slow")
        if slow is None:
            self._answer(connection, packet)
        else:
            late = f"CONNACK {slow.seconds:g} s late"
            self._record.add("fault", _names(packet), what=late)
            self._answer_later(connection, packet, slow.seconds)

    def _answer_later(
        self, connection: Connection, packet: packets.Connect, seconds: float
    ) -> None:
        early: list[packets.Packet] = []  # sent without waiting for CONNACK

        def answer() -> None:
            if connection.reason:
                return
            connection.listen(True)
            self._answer(connection, packet)
            for other in early:
                if not connection.reason:
                    connection.on_packet(other)

        connection.on_packet = early.append
        connection.listen(False)
        connection.deadline(seconds + _FIRST_PACKET, "waited too long")
        asyncio.get_running_loop().call_later(seconds, answer)

    def _answer(self, connection: Connection, packet: packets.Connect) -> None:
        if packet.level == 5:
            connection.write(packets.UNSUPPORTED_IN_5)
        armed = self._faults.take_connack()
        try:
            if armed is not None:
                raise ConnectRefused(256 if armed[0] is None else armed[0], "injected fault")
            self._refuse_if_asked_to(packet)
            login = self._check(packet, connection)
        except ConnectRefused as refused:
            self._note_connect(packet, connection, refused=refused)
            if refused.code < 256 and packet.level != 5:
                connection.write(packets.connack(refused.code))
            connection.close("refused")
            return
        self._note_connect(packet, connection, login=login)
        self._begin(login, connection)

    def _refuse_if_asked_to(self, packet: packets.Connect) -> None:
        registers = "authType=reg" in packet.client_id
        code = self._faults.take_refusal(_names(packet), connect=not registers)
        if code is not None:
            raise ConnectRefused(3 if registers else code, "fault switch: refuse", code)

    def _check(self, packet: packets.Connect, connection: Connection) -> Login:
        try:
            return self._authenticator.check(
                packet, connection.tls is not None, connection.instance
            )
        except ConnectRefused:
            raise
        # A defect of this platform: seen in its log, and a CONNACK 3 to the device.
        except Exception:
            _logger.exception("the platform itself failed")
            raise ConnectRefused(3, "the platform itself failed", 500) from None

    def _note_connect(
        self,
        packet: packets.Connect,
        connection: Connection,
        login: Login | None = None,
        refused: ConnectRefused | None = None,
    ) -> None:
        identity = _names(packet)
        reason = refused.why if refused else None
        if "authType=reg" in packet.client_id:
            free = "authType=regnwl" in packet.client_id
            self._record.add(
                "register",
                identity,
                refused.result if refused else 200,
                via="mqtt-free" if free else "mqtt",
                reason=reason,
                peer=connection.peer,
            )
        self._record.add(
            "connect",
            identity,
            refused.code if refused else 0,
            auth=login.auth if login else None,
            client_id=packet.client_id[:200],
            keepalive=packet.keepalive,
            clean_session=packet.clean_session,
            tls=connection.tls.version() if connection.tls else None,
            instance=None if connection.instance == DEFAULT else connection.instance,
            reason=reason,
            peer=connection.peer,
        )


def _names(packet: packets.Connect) -> tuple[str | None, str | None]:
    """ProductKey and DeviceName that a CONNECT claims, in whatever spelling."""
    device_name, _, product_key = packet.username.partition("&")
    return product_key or None, device_name or None
