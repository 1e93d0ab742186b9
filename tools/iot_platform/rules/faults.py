"""Faults a test asks for: answers lost, late, cut, doubled, malformed; connections refused.

Each is armed for a number of times, takes effect at the next occasions and is then spent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

ReplyEdit = Callable[[str, bytes], Sequence[tuple[float, str, bytes]]]
"""(topic, payload) of a reply -> (delay in seconds, topic, payload) of what is sent instead."""

Claimed = tuple[str | None, str | None]
"""ProductKey and DeviceName as a device claims them, an Identity for one that is known."""
_NOBODY: Claimed = (None, None)
T = TypeVar("T")


class OneSwitch(Protocol):
    """A fault that a device has switched on."""

    @property
    def seconds(self) -> float:
        """How late, or how long after a connect."""


class DeviceSwitches(Protocol):
    """The fault switches of single devices; `store.switches.Switches` is it."""

    def take(self, device: Claimed, fault: str) -> OneSwitch | None:
        """The switch if it is on, which counts as one time."""

    def take_refusal(self, device: Claimed, connect: bool) -> int | None:
        """The code to refuse a connect, or else a registration, with; None: it is not to be."""


@dataclass
class RawHttp:
    """Bytes sent in place of an HTTP answer, in pieces with pauses, then the end or silence."""

    pieces: Sequence[bytes] = field(repr=False)
    pause: float = 0.0
    stay_open: bool = False
    path: str | None = None


@dataclass
class LostAnswer:
    """A registration that took effect and whose answer is lost."""

    stay_open: bool = False


@dataclass
class SlowAnswer:
    """A registration answer that comes late, or in pieces."""

    delay: float = 0.0
    piece: int | None = None
    pause: float = 0.0


class Faults:
    """Arms faults from any thread; the platform takes them as occasions come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._raw_http: deque[RawHttp] = deque()
        self._lost: deque[LostAnswer] = deque()
        self._slow: deque[SlowAnswer] = deque()
        self._register_codes: deque[int] = deque()
        self._connack: deque[int | None] = deque()
        self._connections: deque[str] = deque()
        self.switches: DeviceSwitches | None = None
        """Of single devices; those above are for whoever comes next."""
        self.edit_reply: ReplyEdit | None = None
        """Set it to lose ([]), delay, double or change the replies to Alink requests."""

    def drop_next_register_answer(self, times: int = 1, stay_open: bool = False) -> None:
        """The registration takes effect; its answer is lost and the connection closed.

        stay_open: the connection stays, silent. For HTTPS and MQTT alike.
        """
        self._arm(self._lost, times, LostAnswer(stay_open))

    def slow_register_answer(
        self, delay: float = 0.0, piece: int | None = None, pause: float = 0.0, times: int = 1
    ) -> None:
        """The answer comes after `delay` seconds, in pieces of `piece` bytes `pause` apart."""
        self._arm(self._slow, times, SlowAnswer(delay, piece, pause))

    def register_code(self, code: int, times: int = 1) -> None:
        """A registration (HTTPS) is refused with this result code and has no effect."""
        self._arm(self._register_codes, times, code)

    def raw_http(
        self,
        answer: bytes | Sequence[bytes],
        times: int = 1,
        pause: float = 0.0,
        stay_open: bool = False,
        path: str | None = None,
    ) -> None:
        """An HTTP request is answered with these very bytes and has no other effect.

        A sequence is sent piece by piece, `pause` seconds apart. Then the connection is closed,
        or left open and silent. path: only requests to it; None: any.
        """
        pieces = [answer] if isinstance(answer, bytes) else list(answer)
        self._arm(self._raw_http, times, RawHttp(pieces, pause, stay_open, path))

    def connack(self, code: int | None, times: int = 1) -> None:
        """An MQTT CONNECT is answered with this code (0 to 255) whatever it holds.

        None: the connection is closed without CONNACK.
        """
        self._arm(self._connack, times, code)

    def refuse_connection(self, times: int = 1) -> None:
        """A TCP connection, to any port, is closed at once."""
        self._arm(self._connections, times, "refused")

    def stall_handshake(self, times: int = 1) -> None:
        """A TCP connection, to any port, is accepted and never answered."""
        self._arm(self._connections, times, "stalled")

    def clear(self) -> None:
        """Disarms everything."""
        with self._lock:
            for armed in (
                self._raw_http,
                self._lost,
                self._slow,
                self._register_codes,
                self._connack,
                self._connections,
            ):
                armed.clear()
            self.edit_reply = None

    # What the platform takes

    def take_raw_http(self, path: str) -> RawHttp | None:
        """The raw answer to give a request to `path` now, or None."""
        with self._lock:
            for at, raw in enumerate(self._raw_http):
                if raw.path in (None, path):
                    del self._raw_http[at]
                    return raw
        return None

    def take_lost_answer(self, device: Claimed = _NOBODY) -> LostAnswer | None:
        """Whether the answer at hand, to a registration of the device, is to be lost."""
        lost = self._take(self._lost)
        if lost is None and self.take_switch(device, "lost"):
            lost = LostAnswer()
        return lost

    def take_slow_answer(self, device: Claimed = _NOBODY) -> SlowAnswer | None:
        """Whether the answer at hand, to a registration of the device, is to be slow."""
        slow = self._take(self._slow)
        if slow is None and (switch := self.take_switch(device, "slow")):
            slow = SlowAnswer(switch.seconds)
        return slow

    def take_switch(self, device: Claimed, fault: str) -> OneSwitch | None:
        """The device's own switch if it is on, which counts as one time."""
        return self.switches.take(device, fault) if self.switches is not None else None

    def take_refusal(self, device: Claimed, connect: bool) -> int | None:
        """The code to refuse the device's connect, or else its registration, with, or None."""
        return self.switches.take_refusal(device, connect) if self.switches is not None else None

    def take_register_code(self) -> int | None:
        """The code to refuse the registration at hand with, or None."""
        return self._take(self._register_codes)

    def take_connack(self) -> tuple[int | None] | None:
        """The CONNACK code to give now, wrapped, or None."""
        with self._lock:
            return (self._connack.popleft(),) if self._connack else None

    def take_connection(self) -> str | None:
        """What to do with the connection at hand, or None."""
        return self._take(self._connections)

    def _arm(self, armed: deque[T], times: int, fault: T) -> None:
        with self._lock:
            armed.extend([fault] * times)

    def _take(self, armed: deque[T]) -> T | None:
        with self._lock:
            return armed.popleft() if armed else None
