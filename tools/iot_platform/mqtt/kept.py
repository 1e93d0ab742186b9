"""What the platform keeps for a device: its subscriptions, and QoS 1 messages until acknowledged.

All of it has a bound, in `limits`.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.iot_platform.rules import limits
from tools.iot_platform.rules.names import filter_matches, is_system_topic

_LAST_ID = 65_535


@dataclass(frozen=True)
class Waiting:
    """A QoS 1 message. at: Unix seconds."""

    topic: str
    payload: bytes = field(repr=False)
    at: float


@dataclass
class Kept:
    """Outlives a connection with clean session 0."""

    system_topics: bool = False
    filters: dict[str, int] = field(default_factory=dict)
    """Topic filter -> QoS granted."""
    next_id: int = 1
    _in_flight: OrderedDict[int, Waiting] = field(default_factory=OrderedDict, repr=False)
    _waiting: deque[Waiting] = field(default_factory=deque, repr=False)
    _bytes: int = 0

    def granted(self, topic: str) -> int | None:
        """The highest QoS of the subscriptions to a topic; None: there is none.

        What `_ss=1` subscribes has QoS 1.
        """
        if self.system_topics and is_system_topic(topic):
            return 1
        return max(
            (qos for wanted, qos in self.filters.items() if filter_matches(wanted, topic)),
            default=None,
        )

    def subscribe(self, wanted: str, qos: int) -> bool:
        """Adds or replaces a subscription; False: there are too many."""
        if wanted not in self.filters and len(self.filters) >= limits.SUBSCRIPTIONS:
            return False
        self.filters[wanted] = qos
        return True

    def keep(self, topic: str, payload: bytes) -> bool:
        """Takes a QoS 1 message, to be sent by `to_send`; False: too much waits already."""
        self._drop_old()
        full = self._bytes + len(payload) > limits.WAITING_BYTES
        if full or len(self._waiting) >= limits.WAITING:
            return False
        self._waiting.append(Waiting(topic, payload, time.time()))
        self._bytes += len(payload)
        return True

    def to_send(self) -> Iterator[tuple[int, Waiting]]:
        """What may be sent now for the first time, with its packet id: it is in flight then."""
        self._drop_old()
        while self._waiting and len(self._in_flight) < limits.IN_FLIGHT:
            message = self._waiting.popleft()
            packet_id = self._free_id()
            self._in_flight[packet_id] = message
            yield packet_id, message

    def to_send_again(self) -> list[tuple[int, Waiting]]:
        """What an earlier connection sent and the device did not acknowledge."""
        return list(self._in_flight.items())

    def acknowledge(self, packet_id: int) -> None:
        """The device has a message; an unknown id is ignored."""
        message = self._in_flight.pop(packet_id, None)
        if message is not None:
            self._bytes -= len(message.payload)

    def _free_id(self) -> int:
        while self.next_id in self._in_flight:  # far fewer than there are ids
            self.next_id = self.next_id % _LAST_ID + 1
        packet_id, self.next_id = self.next_id, self.next_id % _LAST_ID + 1
        return packet_id

    def _drop_old(self) -> None:
        oldest = time.time() - limits.WAITING_SECONDS
        while self._waiting and self._waiting[0].at < oldest:
            self._bytes -= len(self._waiting.popleft().payload)
