"""One MQTT connection of a device, after its CONNECT was accepted."""

from __future__ import annotations

from collections.abc import Callable

from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.connection import Connection
from tools.iot_platform.mqtt.credentials import Login
from tools.iot_platform.mqtt.kept import Kept, Waiting
from tools.iot_platform.rules.limits import SUBSCRIBE_TOPICS
from tools.iot_platform.rules.names import filter_problem, topic_owner
from tools.iot_platform.store.record import Record

_REFUSED = 0x80


class Session:
    """Answers a device's packets, and writes to it."""

    def __init__(
        self,
        login: Login,
        connection: Connection,
        record: Record,
        kept: Kept,
        on_publish: Callable[[packets.Publish], None],
        may_subscribe: Callable[[str], bool],
    ) -> None:
        self.login = login
        self.kept = kept
        self.identity = login.identity
        self.connection = connection
        self._record = record
        self._on_publish = on_publish
        self._may_subscribe = may_subscribe
        connection.on_packet = self._handle

    @property
    def client(self) -> str:
        """Tells apart the connections of one identity: the clientId of a registration-free one."""
        return self.login.client_id if self.login.client else ""

    @property
    def reason(self) -> str:
        """Why it is over; empty while it is not."""
        return self.connection.reason

    def write(self, data: bytes) -> None:
        """Sends bytes."""
        self.connection.write(data)

    def close(self, reason: str) -> None:
        """Closes the connection; the first reason given counts."""
        self.connection.close(reason)

    def deliver(self, topic: str, payload: bytes, qos: int) -> bool:
        """Publishes to the device; the subscription is the caller's business.

        A message of QoS 1 may have to wait for acknowledgements of others. Returns False if too
        many wait already.
        """
        if qos:
            if not self.kept.keep(topic, payload):
                return False
            self._send_kept()
            return True
        self._note(topic, 0, payload)
        self.write(packets.publish(topic, payload))
        return True

    def resume(self) -> None:
        """Sends again what an earlier connection did not acknowledge, then what waited."""
        for packet_id, message in self.kept.to_send_again():
            self._send(packet_id, message, dup=True)
        self._send_kept()

    def _send_kept(self) -> None:
        for packet_id, message in self.kept.to_send():
            self._send(packet_id, message)

    def _send(self, packet_id: int, message: Waiting, dup: bool = False) -> None:
        self._note(message.topic, 1, message.payload)
        self.write(packets.publish(message.topic, message.payload, packet_id, dup))

    def _note(self, topic: str, qos: int, payload: bytes) -> None:
        owner = topic_owner(topic) or self.identity
        self._record.add(
            "deliver", owner, payload=payload, topic=topic, qos=qos, size=len(payload)
        )

    def _handle(self, packet: packets.Packet) -> None:
        if isinstance(packet, packets.Publish):
            if packet.packet_id is not None:
                self.write(packets.puback(packet.packet_id))
            self._on_publish(packet)
        elif isinstance(packet, packets.Puback):
            self.kept.acknowledge(packet.packet_id)
            self._send_kept()
        elif isinstance(packet, packets.Pingreq):
            self.write(packets.PINGRESP)
        elif isinstance(packet, packets.Subscribe):
            if len(packet.filters) > SUBSCRIBE_TOPICS:
                codes = [_REFUSED] * len(packet.filters)
            else:
                codes = [self._subscribe(wanted, qos) for wanted, qos in packet.filters]
            topics = [wanted for wanted, _ in packet.filters]
            self._record.add("subscribe", self.identity, topics=topics, codes=codes)
            self.write(packets.suback(packet.packet_id, codes))
        elif isinstance(packet, packets.Unsubscribe):
            for wanted in packet.filters:
                self.kept.filters.pop(wanted, None)
            self._record.add("unsubscribe", self.identity, topics=list(packet.filters))
            self.write(packets.unsuback(packet.packet_id))
        elif isinstance(packet, packets.Disconnect):
            self.close("disconnected")
        else:
            self.close("protocol error: a second CONNECT")

    def _subscribe(self, wanted: str, qos: int) -> int:
        if filter_problem(wanted) or not self._may_subscribe(wanted):
            return _REFUSED
        granted = min(qos, 1)
        return granted if self.kept.subscribe(wanted, granted) else _REFUSED
