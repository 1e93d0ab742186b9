"""The MQTT side: who is connected, what they may say, what reaches them.

Why this is not amqtt's Broker, nor a subclass: a device's identity here is userName, not clientId;
CONNACK 2, 3 and 5 are given by rule; a newer connection throws out the older one by identity;
topics are a device's own and are subscribed by `_ss=1` or not at all; there are no retained
messages, no wills, no QoS 2; a registration is answered without SUBSCRIBE and then cut off; and
whatever arrives is answered by the platform instead of being passed on to other clients. amqtt's
Broker keys sessions, subscriptions and take-over by clientId, knows CONNACK 0 and 5 only, and is
built around passing on. What remains useful is its packet codec: `packets` uses that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Protocol

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.credentials import Authenticator, ConnectRefused, Login
from tools.iot_platform.mqtt.registration_session import answer_registration
from tools.iot_platform.mqtt.session import Kept, Session, close
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.names import Identity, topic_owner, topic_problem
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registry import Registry

_logger = logging.getLogger(__name__)
_FIRST_PACKET = 15.0
"""Seconds a client has from the connection to its CONNECT."""


class Services(Protocol):
    """What the platform does with messages; `services.Services` is the one there is."""

    def handle(self, session: Session, message: packets.Publish) -> None:
        """A message of a device on one of its own topics, or a sub-device's."""

    def may_use(self, session: Session, owner: Identity) -> bool:
        """Whether the session may use the topics of `owner`."""

    def refuse(self, session: Session, owner: Identity | None, message: packets.Publish) -> None:
        """A message on a topic that is not the session's to use."""

    def session_ended(self, session: Session, reason: str) -> None:
        """The session is over; its sub-devices are offline."""

    def session_for(self, subdevice: Identity, topic: str) -> tuple[Session | None, bool]:
        """The gateway's session a sub-device is online through, and whether it takes the topic."""


class Broker:
    """Accepts devices and routes messages. Runs in the platform's loop."""

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        behaviour: Behaviour,
        record: Record,
        faults: Faults,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._behaviour = behaviour
        self._record = record
        self._faults = faults
        self._sessions: dict[tuple[Identity, str], Session] = {}
        self._kept: dict[tuple[Identity, str], Kept] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.services: Services

    def protocol(
        self, announce: Callable[[asyncio.BaseTransport], None]
    ) -> Callable[[], asyncio.StreamReaderProtocol]:
        """Makes the protocol of each connection; announce: notes the TLS handshake."""

        def make() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader()

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                announce(writer.transport)
                task = asyncio.ensure_future(self._serve(reader, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

            return asyncio.StreamReaderProtocol(reader, connected)

        return make

    async def stop(self) -> None:
        """Ends every session."""
        for session in list(self._sessions.values()):
            session.close("platform stopped")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def sessions(self, identity: Identity) -> list[Session]:
        """The direct connections of a device; more than one only without registration."""
        return [s for s in self._sessions.values() if s.identity == identity and not s.reason]

    def publish(self, identity: Identity, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Sends a message to a device or an online sub-device.

        Returns whether it was sent, or queued (QoS 1, clean session 0) for its next connection.
        """
        sessions = self.sessions(identity)
        wanting = [session for session in sessions if session.kept.wants(topic)]
        gateway, wants = self.services.session_for(identity, topic)
        if gateway is not None:
            sessions.append(gateway)
            if wants:
                wanting.append(gateway)
        for session in wanting:
            session.deliver(topic, payload, qos)
        if wanting:
            return True
        for key, kept in self._kept.items():
            if qos and key[0] == identity and not sessions and kept.wants(topic):
                kept.queue(topic, payload)
                return True
        reason = "not subscribed" if sessions else "offline"
        self._record.add("undelivered", identity, topic=topic, reason=reason)
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except OSError:
            pass  # the connection broke; its end is in the record
        finally:
            close(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        try:
            packet = await asyncio.wait_for(packets.read_packet(reader, first=True), _FIRST_PACKET)
        except (asyncio.TimeoutError, packets.ProtocolError):
            packet = None
        if not isinstance(packet, packets.Connect):
            self._record.add("disconnect", reason="no CONNECT")
            return
        if packet.level == 5:  # MQTT 5 reads another CONNACK; unsupported there too is 0x84
            writer.write(b"\x20\x03\x00\x84\x00")
        armed = self._faults.take_connack()
        try:
            if armed is not None:
                raise ConnectRefused(256 if armed[0] is None else armed[0], "injected fault")
            login = self._check(packet, tls=connection is not None)
        except ConnectRefused as refused:
            self._note_connect(packet, connection, refused=refused)
            if refused.code < 256 and packet.level != 5:
                writer.write(packets.connack(refused.code))
                await writer.drain()
            return
        self._note_connect(packet, connection, login=login)
        if login.answer:
            session = Session(login, reader, writer, self._record, Kept())
            await answer_registration(session, self._behaviour, self._record, self._faults)
        else:
            await self._run(login, reader, writer)

    def _check(self, packet: packets.Connect, tls: bool) -> Login:
        try:
            return self._authenticator.check(packet, tls)
        except ConnectRefused:
            raise
        # A defect of this platform: seen in its log, and a CONNACK 3 to the device.
        except Exception:
            _logger.exception("the platform itself failed")
            raise ConnectRefused(3, "the platform itself failed", 500) from None

    def _note_connect(
        self,
        packet: packets.Connect,
        connection: ssl.SSLObject | None,
        login: Login | None = None,
        refused: ConnectRefused | None = None,
    ) -> None:
        device_name, _, product_key = packet.username.partition("&")
        identity = (product_key or None, device_name or None)
        reason = refused.why if refused else None
        if "authType=reg" in packet.client_id:
            free = "authType=regnwl" in packet.client_id
            self._record.add(
                "register",
                identity,
                refused.result if refused else 200,
                via="mqtt-free" if free else "mqtt",
                reason=reason,
            )
        self._record.add(
            "connect",
            identity,
            refused.code if refused else 0,
            auth=login.auth if login else None,
            client_id=packet.client_id[:200],
            keepalive=packet.keepalive,
            clean_session=packet.clean_session,
            tls=connection.version() if connection else None,
            reason=reason,
        )

    async def _run(
        self, login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        session = Session(login, reader, writer, self._record, Kept())
        present = False
        if login.clean_session:
            self._kept.pop(session.key, None)
        else:
            present = session.key in self._kept
            session.kept = self._kept.setdefault(session.key, session.kept)
        session.kept.system_topics = login.system_topics
        older = self._sessions.get(session.key)
        if older is not None:
            older.close("connected elsewhere")
            self.services.session_ended(older, older.reason)
        self._sessions[session.key] = session
        if login.client is not None:
            first = self._registry.activate_client(login.client)
        else:
            first = self._registry.activate(login.identity)
        if first:
            self._record.add("activate", login.identity)
        session.write(packets.connack(0, present))
        session.resend()

        def arrived(message: packets.Publish) -> None:
            self._arrived(session, message)

        def may_subscribe(wanted: str) -> bool:
            owner = topic_owner(wanted)
            if owner is None:
                return wanted.startswith(("/ext/", "/broadcast/"))
            return self.services.may_use(session, owner)

        try:
            timeout = login.keepalive * self._behaviour.keepalive_factor
            await session.run(timeout, arrived, may_subscribe)
        finally:
            if self._sessions.get(session.key) is session:
                del self._sessions[session.key]
                self.services.session_ended(session, session.reason)
            self._record.add(
                "disconnect",
                login.identity,
                reason=session.reason or "platform stopped",
                auth=login.auth,
            )

    def _arrived(self, session: Session, message: packets.Publish) -> None:
        owner = topic_owner(message.topic)
        problem = topic_problem(message.topic)
        details = {"topic": message.topic, "qos": message.qos, "size": len(message.payload)}
        if problem or owner is None or not self.services.may_use(session, owner):
            reason = problem or "not the device's own topic"
            self._record.add("publish", session.identity, 403, reason=reason, **details)
            self.services.refuse(session, owner, message)
            return
        # The event comes last: who waits for it finds the message.
        self._record.add_message(owner, message.topic, message.qos, message.payload)
        self._record.add("publish", owner, 200, **details)
        self.services.handle(session, message)
