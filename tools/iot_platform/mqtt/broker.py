"""The MQTT side: who is connected, what they may say, what reaches them.

A broker of its own, since little is as in brokers at large: a device's identity is its userName,
not its clientId; a newer connection throws out the older one by identity; topics are a device's
own and are subscribed by `_ss=1` or not at all; there are no retained messages, no wills, no
QoS 2; a registration is answered without SUBSCRIBE and then cut off; and whatever arrives is
answered by the platform instead of being passed on to other clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.arrivals import Arrivals
from tools.iot_platform.mqtt.connection import Connection
from tools.iot_platform.mqtt.credentials import Authenticator, Login
from tools.iot_platform.mqtt.kept import Kept
from tools.iot_platform.mqtt.registration_session import Registrar
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.names import Identity, may_share, topic_owner, topic_problem
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registry import Registry

_KICK_TOPIC = "/ext/notify"
_KICK = b'{"title":"kick","content":"Kicked by the same device"}'
_EXT_NOTIFY = 2
"""Bit of `ext` in a clientId: notices on /ext/notify."""


class Services(Protocol):
    """What the platform does with messages; `services.Services` is the one there is."""

    def handle(self, session: Session, message: packets.Publish) -> None:
        """A message of a device on one of its own topics, or a sub-device's."""

    def may_use(self, session: Session, owner: Identity) -> bool:
        """Whether the session may use the topics of `owner`."""

    def product_keys(self, session: Session) -> set[str]:
        """The products whose broadcasts the session may have: its own and its sub-devices'."""

    def answers(self, session: Session, message: packets.Publish) -> bool:
        """Takes a message on a topic that names no device, if the platform waits for it."""

    def refuse(self, session: Session, owner: Identity | None, message: packets.Publish) -> None:
        """A message on a topic that is not the session's to use."""

    def session_began(self, session: Session) -> None:
        """A device is connected, by itself."""

    def session_ended(self, session: Session, reason: str) -> None:
        """The session is over; its sub-devices are offline."""

    def session_for(self, subdevice: Identity, topic: str) -> tuple[Session | None, int | None]:
        """The gateway's session a sub-device is online through, and the QoS it granted a topic."""


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
        self._behaviour = behaviour
        self._record = record
        self._faults = faults
        self._arrivals = Arrivals(authenticator, record, faults, self._login)
        self._registrar = Registrar(behaviour, record, faults)
        # By identity, then by `Session.client`: more than one only without pre-registration.
        self._sessions: dict[Identity, dict[str, Session]] = {}
        self._kept: dict[Identity, dict[str, Kept]] = {}
        self.services: Services

    def protocol(
        self, announce: Callable[[asyncio.BaseTransport], None], instance: str
    ) -> Callable[[], Connection]:
        """Makes the protocol of each connection to an instance; announce: notes handshakes."""
        return self._arrivals.protocol(announce, instance)

    async def stop(self) -> None:
        """Ends every session."""
        self._arrivals.close("platform stopped")
        await self._registrar.stop()

    def sessions(self, identity: Identity) -> list[Session]:
        """The direct connections of a device; more than one only without pre-registration."""
        return list(self._sessions.get(identity, {}).values())

    def connected(self) -> set[Identity]:
        """The devices with a direct connection."""
        return set(self._sessions)

    def forget(self, identity: Identity) -> None:
        """Drops what is kept for a device that is gone, or is to start anew."""
        self._kept.pop(identity, None)

    def forget_clients(self, identity: Identity) -> None:
        """Drops what is kept for the clientIds of a device without pre-registration."""
        mine = self._kept.get(identity, {})
        for client in [client for client in mine if client]:
            del mine[client]

    def kick(self, session: Session) -> None:
        """Throws out a session because the same identity connects elsewhere; it is told first."""
        notice = self._behaviour.kick_notice
        if notice == "always" or (notice == "if asked" and session.login.ext & _EXT_NOTIFY):
            session.deliver(_KICK_TOPIC, _KICK, 0)
        session.close("connected elsewhere")

    def publish(self, identity: Identity, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Sends a message to a device or an online sub-device.

        Returns whether it was sent, or queued (QoS 1, clean session 0) for its next connection.
        """
        reason = "offline"
        taken = False
        for session, granted in self._candidates(identity, topic):
            if granted is None:
                reason = "not subscribed"
            elif session.deliver(topic, payload, self._delivery_qos(qos, granted)):
                taken = True
            else:
                reason = "too many messages wait already"
        for client, kept in self._kept.get(identity, {}).items():
            online = client in self._sessions.get(identity, {})
            granted = None if online else kept.granted(topic)
            if granted is not None and self._delivery_qos(qos, granted):
                if kept.keep(topic, payload):
                    taken = True
                else:
                    reason = "too many messages wait already"
        if not taken:
            self._record.add("undelivered", identity, topic=topic, reason=reason)
        return taken

    def _candidates(self, identity: Identity, topic: str) -> list[tuple[Session, int | None]]:
        found = [(session, session.kept.granted(topic)) for session in self.sessions(identity)]
        gateway, granted = self.services.session_for(identity, topic)
        return found if gateway is None else [*found, (gateway, granted)]

    def _delivery_qos(self, published: int, granted: int) -> int:
        strict = self._behaviour.delivery_qos == "lower"
        return min(published, granted) if strict else published

    # Sessions

    def _login(self, login: Login, connection: Connection) -> None:
        if login.answer:
            self._registrar.answer(self._session(login, connection, Kept()))
        else:
            self._begin(login, connection)

    def _session(self, login: Login, connection: Connection, kept: Kept) -> Session:
        def ended(reason: str) -> None:
            self._arrivals.gone(connection)
            self._ended(session, reason)

        session = Session(
            login,
            connection,
            self._record,
            kept,
            lambda message: self._published(session, message),
            lambda wanted: self._may_subscribe(session, wanted),
        )
        connection.on_end = ended
        return session

    def _begin(self, login: Login, connection: Connection) -> None:
        client = login.client_id if login.client else ""
        present, kept = self._take_kept(login, client)
        session = self._session(login, connection, kept)
        older = self._sessions.get(login.identity, {}).get(client)
        if older is not None:
            self.kick(older)
        self._sessions.setdefault(login.identity, {})[client] = session
        self.services.session_began(session)
        if login.client is not None:
            first = self._registry.activate_client(login.client)
        else:
            first = self._registry.activate(login.identity)
        if first:
            self._record.add("activate", login.identity)
        connection.keepalive(login.keepalive * self._behaviour.keepalive_factor)
        session.write(packets.connack(0, present))
        session.resume()
        cut = self._faults.take_switch(login.identity, "disconnect")
        if cut is not None:
            self._record.add("fault", login.identity, what="connection cut")
            asyncio.get_running_loop().call_later(
                cut.seconds, session.close, "fault switch: disconnect"
            )

    def _take_kept(self, login: Login, client: str) -> tuple[bool, Kept]:
        mine = self._kept.setdefault(login.identity, {})
        if login.clean_session:
            mine.pop(client, None)
            kept, present = Kept(), False
        else:
            present = client in mine
            kept = mine.setdefault(client, Kept())
        if not mine:
            del self._kept[login.identity]
        kept.system_topics = login.system_topics
        return present, kept

    def _ended(self, session: Session, reason: str) -> None:
        mine = self._sessions.get(session.identity, {})
        if mine.get(session.client) is session:
            del mine[session.client]
            if not mine:
                del self._sessions[session.identity]
            self.services.session_ended(session, reason)
        self._record.add("disconnect", session.identity, reason=reason, auth=session.login.auth)

    # Messages

    def _may_subscribe(self, session: Session, wanted: str) -> bool:
        if session.login.answer:  # it registers: whatever it asks for, it gets its answer only
            return True
        owner = topic_owner(wanted)
        if owner is not None:
            return self.services.may_use(session, owner)
        return may_share(wanted, self.services.product_keys(session))

    def _published(self, session: Session, message: packets.Publish) -> None:
        if session.login.answer:
            return
        owner = topic_owner(message.topic)
        problem = topic_problem(message.topic)
        details = {"topic": message.topic, "qos": message.qos, "size": len(message.payload)}
        if owner is None and not problem and self.services.answers(session, message):
            self._record.add("publish", session.identity, 200, payload=message.payload, **details)
            return
        if problem or owner is None or not self.services.may_use(session, owner):
            reason = problem or "not the device's own topic"
            self._record.add(
                "publish",
                session.identity,
                403,
                payload=message.payload,
                reason=reason,
                **details,
            )
            self.services.refuse(session, owner, message)
            return
        # The event comes last: who waits for it finds the message.
        self._record.add_message(owner, message.topic, message.qos, message.payload)
        self._record.add("publish", owner, 200, payload=message.payload, **details)
        self.services.handle(session, message)
