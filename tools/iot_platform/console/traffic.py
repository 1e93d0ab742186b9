"""Traffic: the last events with their payloads, by device, in bounded memory."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tools.iot_platform.console.advice import advice, refused
from tools.iot_platform.console.masking import PREVIEW, payload_json
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Event

KEEP = 50_000
"""Events in memory; of each payload PREVIEW bytes at most."""
_FROM_BEFORE = 2_000
"""Events of earlier runs that are read from the database at the start."""
GROUPS: dict[str, tuple[str, ...]] = {
    "registrations": ("register", "activate", "bootstrap"),
    "connections": ("connect", "disconnect", "online", "offline", "tls-failed"),
    "messages": ("publish", "deliver", "undelivered", "request", "subscribe", "unsubscribe"),
    "operator": ("admin", "fault", "notice", "http"),
}
"""Kinds of events by what a reader looks for; the others are noise beside these."""
_GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}


@dataclass(frozen=True)
class Entry:
    """An event with its place in the traffic and the beginning of its payload."""

    number: int
    event: Event
    payload: bytes | None = field(default=None, repr=False)
    size: int = 0

    @property
    def device(self) -> Identity | None:
        """The device it is about; None when it is not known."""
        if not self.event.product_key or not self.event.device_name:
            return None
        return Identity(self.event.product_key, self.event.device_name)

    @property
    def is_refused(self) -> bool:
        """Whether it is a refusal or a failure."""
        return refused(self.event.kind, self.event.code)


class Traffic:
    """Written in any thread, read in any thread."""

    def __init__(self, keep: int = KEEP) -> None:
        self.epoch = secrets.token_hex(4)
        """Numbers of entries mean something within one run only."""
        self._keep = keep
        self._entries: deque[Entry] = deque()
        self._by_device: dict[Identity, deque[Entry]] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    def load(self, database: Database) -> None:
        """Takes the last events of earlier runs; their payloads are gone."""
        rows = database.query(
            "SELECT at, kind, product_key, device_name, code, details FROM events"
            " ORDER BY rowid DESC LIMIT ?",
            min(_FROM_BEFORE, self._keep),
        )
        for at, kind, product_key, device_name, code, details in reversed(rows):
            self.note(Event(0, at, kind, product_key, device_name, code, json.loads(details)))

    def note(self, event: Event, payload: bytes | None = None) -> None:
        """Takes an event."""
        if event.kind not in _GROUP_OF:
            return
        with self._lock:
            self._number += 1
            kept = payload[:PREVIEW] if payload is not None else None
            entry = Entry(self._number, event, kept, len(payload or b""))
            self._entries.append(entry)
            if entry.device is not None:
                self._by_device.setdefault(entry.device, deque()).append(entry)
            if len(self._entries) > self._keep:
                self._drop_oldest()
        for wake in self._wakers:
            wake()

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Calls `wake` after each further event, in the thread that wrote it."""
        self._wakers.append(wake)

    @property
    def last(self) -> int:
        """The number of the newest entry."""
        return self._number

    def page(
        self,
        limit: int,
        before: int | None = None,
        device: Identity | None = None,
        group: str | None = None,
        only_refused: bool = False,
    ) -> list[Entry]:
        """The newest entries that are older than `before`, newest first."""
        with self._lock:
            source: Iterable[Entry] = (
                self._entries if device is None else self._by_device.get(device, ())
            )
            kinds = GROUPS[group] if group is not None else _GROUP_OF
            return list(
                itertools.islice(
                    (
                        entry
                        for entry in reversed(source)  # type: ignore[call-overload]
                        if (before is None or entry.number < before)
                        and entry.event.kind in kinds
                        and (not only_refused or entry.is_refused)
                    ),
                    limit,
                )
            )

    def since(self, number: int, most: int) -> tuple[list[Entry], int]:
        """The newest entries after a number, oldest first, and how many more there are."""
        with self._lock:
            found = min(self._number - number, len(self._entries))
            taken = min(found, most)
            newest = list(itertools.islice(reversed(self._entries), taken))
        return newest[::-1], found - taken

    def _drop_oldest(self) -> None:
        oldest = self._entries.popleft()
        if oldest.device is not None:
            mine = self._by_device[oldest.device]
            mine.popleft()  # the oldest of all is the oldest of its device
            if not mine:
                del self._by_device[oldest.device]


def entry_json(entry: Entry, secrets_of: Callable[[Identity], Iterable[str]]) -> dict[str, Any]:
    """An entry for the page. secrets_of: the secrets that a device's payloads may repeat."""
    event, device = entry.event, entry.device
    shown: dict[str, Any] = {
        "number": entry.number,
        "at": round(event.at, 3),
        "kind": event.kind,
        "group": _GROUP_OF[event.kind],
        "productKey": event.product_key,
        "deviceName": event.device_name,
        "code": event.code,
        "refused": entry.is_refused,
        "details": dict(event.details),
        "advice": advice(event.kind, event.code, event.details),
    }
    if entry.payload is not None:
        known = secrets_of(device) if device is not None else ()
        shown["payload"] = payload_json(entry.payload, entry.size, known)
    return shown
