"""One MQTT connection of a device, after its CONNECT was accepted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.credentials import Login
from tools.iot_platform.rules.names import (
    Identity,
    filter_matches,
    is_system_topic,
    topic_owner,
    topic_problem,
)
from tools.iot_platform.store.record import Record

_SUBSCRIBE_TOPICS = 8
_SUBSCRIPTIONS = 100
_OUTBOX_BYTES = 8 * 1024 * 1024
_REFUSED = 0x80
_GOODBYE = 0.5


@dataclass
class Kept:
    """What outlives a connection with clean session 0: subscriptions and unanswered QoS 1."""

    system_topics: bool = False
    filters: set[str] = field(default_factory=set)
    unanswered: OrderedDict[int, tuple[str, bytes]] = field(
        default_factory=OrderedDict, repr=False
    )
    next_id: int = 1

    def wants(self, topic: str) -> bool:
        """Whether the device subscribed to the topic, itself or by `_ss=1`."""
        if self.system_topics and is_system_topic(topic):
            return True
        return any(filter_matches(wanted, topic) for wanted in self.filters)

    def queue(self, topic: str, payload: bytes) -> int:
        """Takes a QoS 1 message until it is acknowledged; returns its packet id."""
        while self.next_id in self.unanswered:
            self.next_id = self.next_id % 65535 + 1
        packet_id, self.next_id = self.next_id, self.next_id % 65535 + 1
        self.unanswered[packet_id] = (topic, payload)
        return packet_id


def close(writer: asyncio.StreamWriter) -> None:
    """Closes a connection; a peer that does not answer the end of TLS is not waited for."""
    if not writer.transport.is_closing():
        writer.close()
        asyncio.get_running_loop().call_later(_GOODBYE, writer.transport.abort)


class Session:
    """Reads a device's packets until the connection ends, and writes to it."""

    def __init__(
        self,
        login: Login,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Record,
        kept: Kept,
    ) -> None:
        self.login = login
        self.kept = kept
        self.identity = login.identity
        self.reason = ""
        self._reader = reader
        self._writer = writer
        self._record = record
        self._reading: asyncio.Task[object] | None = None

    @property
    def key(self) -> tuple[Identity, str]:
        """One connection for each: a registration-free device is told apart by its clientId."""
        return self.identity, self.login.client_id if self.login.client else ""

    def write(self, data: bytes) -> None:
        """Sends bytes; a device that reads nothing is cut off rather than waited for."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _OUTBOX_BYTES:
            self.close("does not read")
            transport.abort()
            return
        self._writer.write(data)

    def close(self, reason: str) -> None:
        """Closes the connection; the first reason given counts."""
        self.reason = self.reason or reason
        close(self._writer)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()  # the session is over now, not when the peer has noticed

    def deliver(self, topic: str, payload: bytes, qos: int) -> None:
        """Publishes to the device; the subscription is the caller's business."""
        packet_id = self.kept.queue(topic, payload) if qos else None
        self._record.add(
            "deliver", topic_owner(topic) or self.identity, topic=topic, qos=qos, size=len(payload)
        )
        self.write(packets.publish(topic, payload, packet_id))

    def resend(self) -> None:
        """Sends again what an earlier connection did not acknowledge."""
        for packet_id, (topic, payload) in self.kept.unanswered.items():
            self.write(packets.publish(topic, payload, packet_id, dup=True))

    async def run(
        self,
        timeout: float | None,
        on_publish: Callable[[packets.Publish], None],
        may_subscribe: Callable[[str], bool],
    ) -> None:
        """Reads until the connection ends or no packet came for `timeout` seconds."""
        self._reading = asyncio.current_task()
        try:
            await self._read(timeout, on_publish, may_subscribe)
        except asyncio.CancelledError:
            if not self.reason:
                raise
        finally:
            self._reading = None

    async def _read(
        self,
        timeout: float | None,
        on_publish: Callable[[packets.Publish], None],
        may_subscribe: Callable[[str], bool],
    ) -> None:
        while not self.reason:
            try:
                packet = await asyncio.wait_for(packets.read_packet(self._reader), timeout)
            except asyncio.TimeoutError:  # another class in 3.10
                self.close("keepalive")
                return
            except packets.ProtocolError as error:
                self.close(f"protocol error: {error}")
                return
            if packet is None:
                self.close("connection lost")
                return
            if isinstance(packet, packets.Disconnect):
                self.close("disconnected")
                return
            self._handle(packet, on_publish, may_subscribe)
            try:
                await self._writer.drain()
            except OSError:
                self.close("connection lost")

    def _handle(
        self,
        packet: packets.Packet,
        on_publish: Callable[[packets.Publish], None],
        may_subscribe: Callable[[str], bool],
    ) -> None:
        if isinstance(packet, packets.Publish):
            if packet.packet_id is not None:
                self.write(packets.puback(packet.packet_id))
            on_publish(packet)
        elif isinstance(packet, packets.Pingreq):
            self.write(packets.pingresp())
        elif isinstance(packet, packets.Puback):
            self.kept.unanswered.pop(packet.packet_id, None)
        elif isinstance(packet, packets.Subscribe):
            if len(packet.filters) > _SUBSCRIBE_TOPICS:
                codes = [_REFUSED] * len(packet.filters)
            else:
                codes = [self._subscribe(wanted, may_subscribe) for wanted in packet.filters]
            self._record.add("subscribe", self.identity, topics=list(packet.filters), codes=codes)
            self.write(packets.suback(packet.packet_id, codes))
        elif isinstance(packet, packets.Unsubscribe):
            self.kept.filters.difference_update(packet.filters)
            self._record.add("unsubscribe", self.identity, topics=list(packet.filters))
            self.write(packets.unsuback(packet.packet_id))
        else:
            self.close("protocol error: a second CONNECT")

    def _subscribe(self, wanted: str, may_subscribe: Callable[[str], bool]) -> int:
        room = len(self.kept.filters) < _SUBSCRIPTIONS or wanted in self.kept.filters
        if topic_problem(wanted) or not room or not may_subscribe(wanted):
            return _REFUSED
        self.kept.filters.add(wanted)
        return 0
