"""A device's MQTT session: `umqtt.simple` with deadlines, keepalive and typed errors.

Works with umqtt.simple 1.3.4 (PyPI) to 1.8 (frozen in stock firmware, each firmware its own).
It leans only on what all of them share: the constructor's first arguments, `sock`, `pid`,
`wait_msg`, `publish`, `ping`, `disconnect`. Their `connect` and `subscribe` are replaced: they
changed between the versions, cannot be bounded in time, and take no topic over 121 bytes.
"""

import time

from micropython import const
from umqtt.simple import MQTTClient, MQTTException

from .errors import IotError, NetworkError, ProtocolError, RefusedError
from .log import log
from .wire import Stream, broken

_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBACK = const(0x90)
_REFUSED = const(0x80)  # SUBACK's return code for "no"


def _bytes(value):
    # umqtt takes lengths from len(), which for text counts characters, not bytes.
    if isinstance(value, str):
        return value.encode()
    memoryview(value)  # TypeError here, where the application's mistake is, and not inside umqtt
    return value


class Session(MQTTClient):
    """One MQTT connection at a time, and what outlives it: topics, an unacknowledged message.

    product_key, device_name: whose session this is, str. host, port: where to.
    keepalive: seconds. context: TLS context, or None for plain TCP.
    All methods raise NetworkError or ProtocolError when the connection is lost; it is closed
    then, and `Device.connect()` brings everything back.
    """

    timeout = 10000  # milliseconds for one exchange with the platform
    connect_timeout = 20000  # milliseconds for connection, TLS handshake and CONNACK together

    def __init__(self, product_key, device_name, host, port, keepalive, context):
        super().__init__(b"", host, port, keepalive=keepalive)
        self.product_key = product_key
        self.device_name = device_name
        self.context = context
        self.topics = []  # subscribed, to be subscribed again
        self.inbox = []  # (topic, payload) received while something else was waited for
        self.unacked = None  # (topic, payload) sent with QoS 1 when the connection was lost
        self._expected = None  # the answer that umqtt reads itself
        self._suback = None
        self._pinged = False
        self.set_callback(self._receive)

    def topic(self, tail):
        """The device's own topic `/sys/{ProductKey}/{DeviceName}/{tail}`: str."""
        return "/sys/{}/{}/{}".format(self.product_key, self.device_name, tail)

    def connect(self, packet):  # type: ignore[override]
        """Connect, subscribe again, send again what was not acknowledged.

        packet: the whole CONNECT as bytes, see `mqtt.connect_packet`.
        Raises NetworkError, TlsError, ProtocolError; BusyError, RefusedError or Fatal by the
        platform's answer, its CONNACK code in `.code`.
        """
        self.close()
        self.sock = Stream(self.server, self.port, self.connect_timeout, self.context)
        self._guarded(self._log_in, packet, self.sock.wire.until)
        for topic in list(self.topics):
            if self._guarded(self._subscribe, topic) == _REFUSED:
                self.topics.remove(topic)
                log("a topic is no longer this device's: not subscribed")
        if self.unacked:
            self.publish(self.unacked[0], self.unacked[1], qos=1)

    def _log_in(self, packet, until):
        self.sock.wire.until = until  # what is left of the time for connecting
        self.sock.write(packet)  # in one piece: one segment, nothing to wait for in between
        answer = self.sock.read(4)
        if answer[0] != 0x20 or answer[1] != 2:
            raise ProtocolError("connect: the answer is not a CONNACK")
        if answer[3]:
            from .mqtt import refusal

            raise refusal(answer[3])

    def publish(self, topic, payload, retain=False, qos=0):
        """Send `payload` to `topic` (str or bytes); with qos=1 return when it is acknowledged.

        A QoS 1 message whose connection is lost is kept and sent again by the next connect:
        the caller gets the exception all the same. The platform keeps no retained messages.
        """
        topic = _bytes(topic)
        payload = _bytes(payload)
        self._check_open()
        if qos:
            self.unacked = (topic, payload)
        self._guarded(self._publish, topic, payload, qos)
        if qos:
            self.unacked = None

    def _publish(self, topic, payload, qos):
        self.pid %= 65535  # umqtt counts on past what two bytes hold
        self._expected = _PUBACK
        super().publish(topic, payload, False, qos)
        self.sock.flush()

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` (str or bytes), now and after every connect.

        The sender's QoS rules on this platform: `qos` is taken for umqtt's sake and not used.
        Raises RefusedError when the platform refuses the topic; the session goes on.
        """
        topic = _bytes(topic)
        self._check_open()
        if self._guarded(self._subscribe, topic) == _REFUSED:
            raise RefusedError("subscribe: not a topic of this device", _REFUSED)
        if topic not in self.topics:
            self.topics.append(topic)

    def _subscribe(self, topic):
        from .mqtt import length, text

        self.pid = self.pid % 65535 + 1
        rest = self.pid.to_bytes(2, "big") + text(topic) + b"\0"
        self.sock.write(b"\x82" + length(len(rest)) + rest)
        self._suback = None
        while not self._suback or self._suback[:2] != rest[:2]:
            self.wait_msg()
        return self._suback[2]

    def wait(self, ms):
        """Wait up to `ms` milliseconds for a message: (topic, payload), bytes each, or None.

        Sends the keepalive pings; call it at least every `keepalive` seconds.
        """
        until = time.ticks_add(time.ticks_ms(), ms)
        while not self.inbox:
            self._check_open()
            left = max(0, time.ticks_diff(until, time.ticks_ms()))
            self._guarded(self._wait, left)
            if not left:
                break
        return self.inbox.pop(0) if self.inbox else None

    def _wait(self, ms):
        sock = self.sock
        now = time.ticks_ms()
        silent = time.ticks_diff(now, sock.wire.heard)
        if self._pinged and silent <= time.ticks_diff(now, sock.sent):
            self._pinged = False  # whatever came since the ping shows that the platform is there
        if self._pinged:
            due = self.timeout - time.ticks_diff(now, sock.sent)
            if due <= 0:
                raise NetworkError("no answer to a ping")
        else:
            # Three quarters of the interval: the platform closes after one and a half.
            due = self.keepalive * 750 - max(silent, time.ticks_diff(now, sock.sent))
            if due <= 0:
                self.ping()
                sock.flush()
                self._pinged = True
                due = self.timeout
        if sock.wait(min(ms, due)):
            sock.arm(self.timeout)
            self.wait_msg()

    def wait_msg(self):
        """Take in one packet. umqtt's own, made to leave nothing unread in the stream."""
        op = super().wait_msg()
        if op is None or op & 0xF0 == _PUBLISH or op == self._expected:
            return op
        if op not in (_PUBACK, _SUBACK):
            raise ProtocolError("a packet of a kind that nobody asked for")
        body = self.sock.read(self._recv_len())
        if op == _SUBACK:
            self._suback = body
        return None

    def _recv_len(self):
        size = 0
        for shift in (0, 7, 14, 21):
            byte = self.sock.read(1)[0]
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                return size
        raise ProtocolError("a packet's length has more than four bytes")

    def _receive(self, topic, payload):
        limit = self.sock.limit
        # A flood while something else is waited for must not take all the memory.
        if self.sock.dropped or sum([len(m[1]) + 99 for m in self.inbox]) > 3 * limit:
            self.sock.dropped = False
            log("a message was dropped: over {} bytes, or too many unread".format(limit))
        else:
            self.inbox.append((topic, payload))

    def _check_open(self):
        if not self.sock:
            raise NetworkError("not connected")

    def _guarded(self, exchange, *args):
        # umqtt checks with assert and indexes what it read: errors of the other end, not bugs.
        done = False
        try:
            self.sock.arm(self.timeout)
            result = exchange(*args)
            done = True
            return result
        except IotError:
            raise
        except OSError as e:
            raise broken(e)
        except (AssertionError, IndexError, TypeError, ValueError, MQTTException):
            raise ProtocolError("the platform sent something that is not MQTT")
        finally:
            self._expected = None
            if not done:
                self.close()

    def check_msg(self):
        """umqtt's: take in a packet if one is there; messages go to the inbox, see `wait`."""
        self._check_open()
        self._guarded(self._wait, 0)

    def disconnect(self):
        """umqtt's: the same as `close`."""
        self.close()

    def close(self):
        """Say goodbye if there is a connection, and let go of it. Never raises."""
        sock = self.sock
        self.sock = None
        self._pinged = False
        if sock:
            try:
                sock.arm(1000)
                sock.write(b"\xe0\0")
                sock.flush()
            except OSError:
                pass  # it is gone already
            sock.close()
