"""The record: every connection and request the platform saw, and what it answered.

Never a secret: events carry names, codes and sizes; payloads are kept apart, in memory only.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database

Kind = Literal[
    "connection",  # a TCP connection; details: port, peer
    "tls",  # its handshake succeeded; details: port, peer, version, cipher, server_name
    "tls-failed",  # its handshake failed; details: port, peer, reason
    "http",  # an HTTP request that is no registration; code: HTTP status; details: method, path
    "register",  # dynamic registration; code: result; details: via ("https", "mqtt", "mqtt-free",
    # "gateway", "gateway-proxy"), reason, sign_method, answered
    "connect",  # MQTT CONNECT; code: CONNACK (256: none); details: auth, client_id, tls,
    # keepalive, clean_session, reason
    "activate",  # first successful connect or login
    "disconnect",  # end of an MQTT session; details: reason, auth
    "subscribe",  # details: topics, codes
    "unsubscribe",  # details: topics
    "publish",  # device to platform; code: 200, or 403 when refused; details: topic, qos, size
    "deliver",  # platform to device; details: topic, qos, size
    "undelivered",  # details: topic, reason
    "request",  # an Alink request; code: result; details: topic, id, count, answered, reason
    "online",  # a sub-device logged in; details: gateway
    "offline",  # a sub-device went offline; details: gateway, reason
    "notice",  # sent on /ext/error; code: result; details: gateway, message
    "admin",  # something the operator did; details: what
    "fault",  # an injected fault took effect; details: what
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Event:
    """One line of the record. at: Unix seconds; code: meaning depends on the kind."""

    number: int
    at: float
    kind: Kind
    product_key: str | None = None
    device_name: str | None = None
    code: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One message from a device. The payload is not shown: some carry signs."""

    at: float
    product_key: str
    device_name: str
    topic: str
    qos: int
    payload: bytes = field(repr=False)


class Record:
    """Events in memory and in the database; messages in memory. Usable from any thread."""

    def __init__(
        self, database: Database, keep: int = 200_000, keep_messages: int = 10_000
    ) -> None:
        self._database = database
        self._events: deque[Event] = deque(maxlen=keep)
        self._messages: deque[Message] = deque(maxlen=keep_messages)
        self._changed = threading.Condition()
        self._number = 0
        self._listeners: list[Callable[[Event], None]] = []

    def add(
        self,
        kind: Kind,
        device: Identity | tuple[str | None, str | None] = (None, None),
        code: int | None = None,
        **details: Any,
    ) -> None:
        """Writes one event. Details that are None are left out."""
        shown = {name: value for name, value in details.items() if value is not None}
        with self._changed:
            self._number += 1
            event = Event(self._number, time.time(), kind, device[0], device[1], code, shown)
            self._events.append(event)
            self._database.query(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                event.at,
                kind,
                event.product_key,
                event.device_name,
                code,
                json.dumps(shown, separators=(",", ":")),
            )
            self._changed.notify_all()
        for listener in self._listeners:
            listener(event)

    def add_message(self, device: Identity, topic: str, qos: int, payload: bytes) -> None:
        """Keeps the payload of a message from a device."""
        with self._changed:
            self._messages.append(Message(time.time(), *device, topic, qos, payload))
            self._changed.notify_all()

    def events(
        self,
        kind: Kind | None = None,
        product_key: str | None = None,
        device_name: str | None = None,
        code: int | None = None,
    ) -> list[Event]:
        """The events so far, oldest first; each argument that is given must match."""
        with self._changed:
            return [
                event
                for event in self._events
                if (kind is None or event.kind == kind)
                and (product_key is None or event.product_key == product_key)
                and (device_name is None or event.device_name == device_name)
                and (code is None or event.code == code)
            ]

    def messages(self, topic: str | None = None) -> list[Message]:
        """The messages so far, oldest first, of one topic or all."""
        with self._changed:
            return [m for m in self._messages if topic is None or m.topic == topic]

    def wait_for(
        self, kind: Kind, timeout: float = 5.0, count: int = 1, **fields: Any
    ) -> list[Event]:
        """Waits until `count` such events are there and returns them.

        fields: as for `events`. Raises TimeoutError, naming what came instead, after `timeout`
        seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(found := self.events(kind, **fields)) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    seen = [(e.kind, e.code) for e in self._events][-12:]
                    raise TimeoutError(
                        f"no {count} event(s) {kind!r} {fields} in {timeout} s; last: {seen}"
                    )
                self._changed.wait(left)
            return found

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Calls `listener` with each further event, in the thread that wrote it."""
        self._listeners.append(listener)
