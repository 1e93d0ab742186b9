"""The record: every connection and request the platform saw, and what it answered.

Never a secret: events carry names, codes and sizes; payloads are kept apart, in memory only. All
of it is bounded, in `limits`: the oldest goes first.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tools.iot_platform.rules.limits import EVENTS, MESSAGES, MESSAGES_BYTES
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database

Kind = Literal[
    "connection",  # a TCP connection; details: port, peer
    "tls",  # its handshake succeeded; details: port, peer, version, cipher, server_name
    "tls-failed",  # its handshake failed; details: port, peer, reason
    "http",  # an HTTP request that is no registration; code: HTTP status; details: method, path
    "register",  # dynamic registration; code: result; details: via ("https", "mqtt", "mqtt-free",
    # "gateway", "gateway-proxy"), reason, sign_method, answered, peer
    "bootstrap",  # POST /auth/bootstrap; code: result; details: reason
    "connect",  # MQTT CONNECT; code: CONNACK (256: none); details: auth, client_id, tls,
    # keepalive, clean_session, reason, peer, instance (unless it is the default)
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
_AT_ONCE = 500
"""Events written to the database in one transaction."""
_logger = logging.getLogger(__name__)


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
    """Events in memory and in the database; messages in memory. Usable from any thread.

    The database gets events a little later, many in one transaction: `flush` is called twice a
    second while the platform runs, and before it ends.
    """

    def __init__(
        self,
        database: Database,
        keep: int = EVENTS,
        keep_messages: int = MESSAGES,
        keep_bytes: int = MESSAGES_BYTES,
    ) -> None:
        """keep: events; keep_messages, keep_bytes: messages, and bytes of their payloads."""
        self._database = database
        self._keep = keep
        self._events: deque[Event] = deque(maxlen=keep)
        self._unwritten: list[Event] = []
        self._written = keep + keep // 10  # so that what an earlier run left is cut at once
        self._messages: deque[Message] = deque()
        self._keep_messages = keep_messages
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._changed = threading.Condition()
        self._number = 0
        self._listeners: list[Callable[[Event], None]] = []
        self._watchers: list[Callable[[Event, bytes | None], None]] = []

    def add(
        self,
        kind: Kind,
        device: Identity | tuple[str | None, str | None] = (None, None),
        code: int | None = None,
        *,
        payload: bytes | None = None,
        **details: Any,
    ) -> None:
        """Writes one event. Details that are None are left out.

        payload: of a message, for those who `watch`; the event does not keep it.
        """
        shown = {name: value for name, value in details.items() if value is not None}
        with self._changed:
            self._number += 1
            event = Event(self._number, time.time(), kind, device[0], device[1], code, shown)
            self._events.append(event)
            self._unwritten.append(event)
            if len(self._unwritten) >= _AT_ONCE:
                self._write()
            self._changed.notify_all()
        for listener in self._listeners:
            listener(event)
        for watcher in self._watchers:
            watcher(event, payload)

    @property
    def last(self) -> int:
        """Number of the last event."""
        return self._number

    def add_message(self, device: Identity, topic: str, qos: int, payload: bytes) -> None:
        """Keeps the payload of a message from a device."""
        with self._changed:
            self._messages.append(Message(time.time(), *device, topic, qos, payload))
            self._bytes += len(payload)
            while len(self._messages) > self._keep_messages or self._bytes > self._keep_bytes:
                self._bytes -= len(self._messages.popleft().payload)
            self._changed.notify_all()

    def events(
        self,
        kind: Kind | None = None,
        product_key: str | None = None,
        device_name: str | None = None,
        code: int | None = None,
        after: int = 0,
    ) -> list[Event]:
        """The events so far, oldest first; each argument that is given must match.

        after: only events with a higher number.
        """
        found = []
        with self._changed:
            for event in reversed(self._events):
                if event.number <= after:
                    break
                if (
                    (kind is None or event.kind == kind)
                    and (product_key is None or event.product_key == product_key)
                    and (device_name is None or event.device_name == device_name)
                    and (code is None or event.code == code)
                ):
                    found.append(event)
        found.reverse()
        return found

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
        found: list[Event] = []
        seen = fields.pop("after", 0)
        with self._changed:
            while True:
                found += self.events(kind, after=seen, **fields)
                seen = self._number
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    last = [(e.kind, e.code) for e in self._events][-12:]
                    raise TimeoutError(
                        f"no {count} event(s) {kind!r} {fields} in {timeout} s; last: {last}"
                    )
                self._changed.wait(left)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Calls `listener` with each further event, in the thread that wrote it."""
        self._listeners.append(listener)

    def watch(self, watcher: Callable[[Event, bytes | None], None]) -> None:
        """As `listen`, with the payload of a message that was published or delivered."""
        self._watchers.append(watcher)

    def flush(self) -> None:
        """Writes to the database what it has not yet."""
        with self._changed:
            if self._unwritten:
                self._write()

    def _write(self) -> None:
        rows = [
            (e.at, e.kind, e.product_key, e.device_name, e.code, _compact(e.details))
            for e in self._unwritten
        ]
        self._unwritten.clear()
        self._written += len(rows)
        try:
            with self._database.transaction():
                self._database.insert("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
                if self._written >= self._keep + self._keep // 10:
                    self._written = self._keep
                    self._database.query(
                        "DELETE FROM events WHERE rowid <= (SELECT max(rowid) FROM events) - ?",
                        self._keep,
                    )
        except sqlite3.Error as error:  # a full disk must not stop the platform
            _logger.error("%d events could not be kept: %s", len(rows), error)


def _compact(details: Mapping[str, Any]) -> str:
    return json.dumps(details, separators=(",", ":"))
