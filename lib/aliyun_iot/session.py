"""A device's MQTT session: what a connected device keeps loaded.

Every exchange is written once, as a generator that yields (event, ms) where it has to wait, for
`Session` and for `aio`; see `wire`.
"""

from micropython import const

from . import NetworkError, ProtocolError, RefusedError, errno, log, phase, select, time, wire

_IN = const(256)  # bytes read ahead; a packet that fits is taken in at once
_FIRST = const(1024)  # bytes of a message that leave in one piece with its head
_TOPIC = const(128)  # bytes; platform docs "Limits", as the two that follow
_SLASHES = const(7)
_PAYLOAD = const(262144)
_TRIES = const(3)  # of a message with QoS 1
_ACKS = const(60)  # bytes of PUBACKs that wait for what else arrives

_CONNACK = const(0x2)
_PUBLISH = const(0x3)
_PUBACK = const(0x4)
_SUBACK = const(0x9)
_PINGRESP = const(0xD)
_REFUSED = const(0x80)  # SUBACK's return code for "no"


def _checked(topic):
    """A topic, str or bytes, as bytes. Raises ValueError for what cannot be one."""
    good = isinstance(topic, str)
    topic = topic.encode() if good else bytes(topic)
    # What answers a remote call carries the caller's own topic below /ext/rrpc.
    most = 65535 if topic.startswith(b"/ext/rrpc/") else _TOPIC
    try:
        topic.decode()
        good = 0 < len(topic) <= most and b"\0" not in topic
    except UnicodeError:
        good = False
    if not good or (topic.count(b"/") > _SLASHES and most == _TOPIC):
        raise ValueError("topic: expected 1 to 128 bytes of UTF-8, at most 7 slashes")
    return topic


class Session:
    """One MQTT connection at a time, and what outlives it: topics, an unacknowledged message.

    It has umqtt.simple's vocabulary for programs that know that, but not its code: that cannot be
    bounded in time, changes from version to version, and takes heap.

    product_key, device_name: whose session this is, str. host, port: where to.
    keepalive: seconds. context: TLS context, or None for plain TCP.
    All methods raise NetworkError or ProtocolError when the connection is lost; it is closed
    then, and `Device.connect()` brings everything back. What a caller did wrong is a ValueError
    or TypeError before anything is sent; the session goes on.
    """

    sock: "wire.Wire"
    device: "object"  # the Device whose session it is, where there is one
    pid: int

    timeout = 10000  # milliseconds without progress, in one exchange with the platform
    connect_timeout = 20000  # milliseconds for connection, TLS handshake and CONNACK together
    limit = 8192  # longest message kept, bytes; a longer one is read off and dropped

    # Kept in the instance only once they are set: there each costs more.
    cb = None
    unacked = None  # (topic, payload) sent with QoS 1 when the connection was lost
    given_up = None  # the same, after three tries
    kicked = False  # whether another connection of this identity ended this one
    _failed = 0  # tries to send `unacked`

    def __init__(self, product_key, device_name, host, port, keepalive, context):
        self.server = host
        self.port = port
        self.keepalive = keepalive
        self.pid = 0
        self.sock = None  # type: ignore[assignment]
        self.product_key = product_key
        self.device_name = device_name
        self.context = context
        self.topics = []  # subscribed, to be subscribed again
        self.inbox = []  # (topic, payload) received and not yet taken by the application
        self.readers = {}  # see `_deliver`
        self._in = bytearray(_IN)  # what was read: [_start:_end] is still to be taken in
        self._view = memoryview(self._in)
        self.drop()

    def topic(self, tail):
        """The device's own topic `/sys/{ProductKey}/{DeviceName}/{tail}`: str."""
        return "/sys/{}/{}/{}".format(self.product_key, self.device_name, tail)

    # --- exchanges, for an application

    def connect(self, packet):
        """Connect, subscribe again, send again what was not acknowledged.

        packet: the whole CONNECT as bytes, see `credentials.connect_packet`.
        Raises NetworkError, TlsError, ProtocolError; BusyError, RefusedError or Fatal by the
        platform's answer, its CONNACK code in `.code`.
        """
        self.close()
        self.run(self.connecting(packet))

    def publish(self, topic, payload, retain=False, qos=0):
        """Send `payload` to `topic` (str or bytes); with qos=1 return when it is acknowledged.

        payload: str, or any buffer of bytes, up to 262,144. topic: up to 128 bytes and 7 slashes.
        A QoS 1 message whose connection is lost is kept and sent again by the next connect, three
        times in all; then it is `given_up`. The caller gets the exception all the same.
        The platform keeps no retained messages.
        """
        self.run(self.publishing(topic, payload, qos))

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` (str or bytes), now and after every connect.

        The sender's QoS rules on this platform: `qos` is taken for umqtt's sake and not used.
        Raises RefusedError when the platform refuses the topic; the session goes on.
        """
        self.run(self.subscribing(topic))

    def wait(self, ms):
        """Wait up to `ms` milliseconds for a message: (topic, payload), bytes each, or None.

        Keeps the connection alive: call it at least every `keepalive` seconds. A message with
        QoS 1 is acknowledged by the next call of the session, when the application is done with
        it; a board that is reset in between may be sent it again, or not: the platform decides.
        """
        self.run(self.waiting(ms))
        return self.take()

    def take(self):
        """The next message of the inbox, or None; see `wait`."""
        self._done()
        if not self.inbox:
            return None
        self._taken = self._pids.pop(0)
        return self.inbox.pop(0)

    def set_callback(self, function):
        """umqtt's: have `check_msg` and `wait_msg` call function(topic, payload), bytes each."""
        self.cb = function

    def check_msg(self):
        """umqtt's: take in what is there; messages go to the callback, or stay for `wait`."""
        for _ in range(99):  # a flood leaves the application's loop its turn
            # With nobody to take them, those that stay must not keep it from looking further.
            self.run(self.waiting(0 if self.cb else -1))
            # Out here, where what the application's function raises is nobody else's fault.
            if not self.cb or not self.inbox:
                break
            self.cb(*self.take())

    def wait_msg(self):
        """umqtt's: wait for a message, for ever if need be; see `check_msg`."""
        while not self.inbox:
            self.run(self.waiting(60000))
        self.check_msg()

    ping = check_msg  # umqtt's: the session asks when it is time

    def close(self):
        """Say goodbye if there is a connection, and let go of it. Never raises."""
        if self.sock:
            try:
                self.run(self.sock.sending(self._begin(0xE0, 0), b"", 1000))
            except NetworkError:
                pass  # it is gone already
            self.drop()

    disconnect = close  # umqtt's

    def drop(self):
        """Let go of the connection, without a goodbye, and begin anew."""
        if self.sock:
            self.sock.io.close()  # frees what Mbed TLS holds outside the Python heap, too
        self.sock = None  # type: ignore[assignment]
        # Packet ids of the messages in the inbox: bytes, empty for QoS 0 and another connection's.
        self._pids = [b""] * len(self.inbox)
        self._start = self._end = 0
        # (topic, packet id, reader, buffer, when it began) of a packet longer than `_in`.
        self._long = None  # type: ignore[var-annotated]
        self._left = 0  # bytes of it still to come
        self._acks = b""  # PUBACKs to be sent
        self._taken = b""  # packet id of the message that the application is at
        self.answer = 0  # latest: kind << 24 | packet id << 8 | return code
        self.due = 0  # milliseconds after which `waiting` wants to look again
        self._asked = None  # when the ping left that has no answer yet
        self._pinged = time.ticks_ms()  # when a ping left, or something of ours was answered
        self._late = self._pinged  # when what an answer may be queued behind was over

    def run(self, steps):
        """Carry out an exchange, a generator that yields (event, ms) where it has to wait."""
        whole = False
        try:
            wire.drive(steps, self)
            whole = True
        except OSError as e:
            raise wire.broken(e)
        except (ValueError, TypeError):
            whole = True  # the caller's mistake: nothing was sent
            raise
        except RefusedError as e:
            whole = e.code == _REFUSED  # a topic; the other codes refuse the connection
            raise
        finally:
            if not whole:
                self.drop()

    # --- the same as generators, for whoever waits otherwise

    def connecting(self, packet, split=False):
        """As `connect`; split: see `wire.opening`."""
        self.drop()
        self.kicked = False
        ms = self.connect_timeout
        until = time.ticks_add(time.ticks_ms(), ms)
        yield from wire.opening(self, self.server, self.port, ms, self.context, split)
        yield from self.sock.sending(packet, b"", self.timeout)
        unread = len(self.inbox)
        try:
            while not self.answer:
                if not self.receive():
                    yield select.POLLIN, wire.left(until)
        except ProtocolError:
            unread = -1
        if self.answer >> 24 != _CONNACK or len(self.inbox) != unread:
            raise ProtocolError("connect: the answer is not a CONNACK")
        code = self.answer & 0xFF
        if code:
            raise phase("credentials.refusal", code)
        for topic in list(self.topics):
            try:
                yield from self.subscribing(topic)
            except RefusedError:
                self.topics.remove(topic)
                log("a topic is not subscribed again")
        if self.unacked:
            yield from self.publishing(self.unacked[0], self.unacked[1], 1, True)

    def publishing(self, topic, payload, qos=0, again=False):
        """As `publish`; again: `unacked`, which has been checked."""
        if not again:
            topic = _checked(topic)
            if isinstance(payload, str):
                payload = payload.encode()
            # A buffer of wider items has another length in items than in bytes.
            if len(bytes(memoryview(payload)[:1])) > 1:
                raise TypeError("payload: not a buffer of bytes")
            if b"+" in topic or b"#" in topic:
                raise ValueError("topic: expected no wildcards")
            if len(payload) > _PAYLOAD:
                raise ValueError("payload: at most 262144 bytes")
            if qos not in (0, 1):
                raise ValueError("qos: expected 0 or 1")
        size = 2 + len(topic) + 2 * qos + len(payload)
        head = self._begin(_PUBLISH << 4 | qos << 1, size)
        head.append(len(topic) >> 8)
        head.append(len(topic) & 0xFF)
        head.extend(topic)
        if qos:
            if not again:
                self.unacked = (topic, bytes(payload))  # as it is now
                self._failed = 0
            self._failed += 1
            head.append(self.pid >> 8)
            head.append(self.pid & 0xFF)
        if size <= _FIRST:
            head.extend(payload)
            payload = b""
        try:
            yield from self.sock.sending(head, payload, self.timeout)
            if qos:
                # The network may hold some of it when the last byte has left: 64 kB at 8 kB/s.
                yield from self._answered(_PUBACK, min(size, 65536) >> 3)
                self.unacked = None
        finally:
            if qos and self.unacked and self._failed >= _TRIES:
                self.given_up = self.unacked
                self.unacked = None
                log("a QoS 1 message is given up after three tries")

    def subscribing(self, topic):
        """As `subscribe`."""
        topic = _checked(topic)
        head = self._begin(0x82, 5 + len(topic))
        head.extend(self.pid.to_bytes(2, "big"))
        head.extend(len(topic).to_bytes(2, "big"))
        head.extend(topic + b"\x01")
        yield from self.sock.sending(head, b"", self.timeout)
        yield from self._answered(_SUBACK)
        if self.answer & 0xFF == _REFUSED:
            raise RefusedError("subscribe: not its own topic", _REFUSED)
        if topic not in self.topics:
            self.topics.append(topic)

    def waiting(self, ms, done=None):
        """As `wait`: done when there is a message in the inbox, or none came in time.

        done: called in place of looking there; what comes goes to readers, see `_deliver`.
        """
        self._done()
        until = time.ticks_add(time.ticks_ms(), ms)
        while True:
            now = time.ticks_ms()
            # The platform closes after one and a half intervals without a packet, and the
            # application may come by but once an interval, or not keep up with what comes.
            self.due = self.keepalive * 400 - time.ticks_diff(now, self._pinged)
            if self.due <= 0 and self.sock:
                self._pinged = now
                if self._asked is None:
                    self._asked = self._late = now
                yield from self.sock.sending(self._begin(0xC0, 0), b"", self.timeout)
            if done() if done else self.inbox and ms >= 0:
                return
            if not self.sock:
                raise NetworkError("not connected")
            if len(self._acks) <= _ACKS and self.receive():
                continue  # all that has arrived counts before anything is judged
            if self._acks:
                acks = self._acks
                self._acks = b""
                yield from self.sock.sending(acks, b"", self.timeout)
                continue
            if self._asked is not None:
                self.due = self._patience(self._asked)
            elif self._left or self._start < self._end:  # inside a packet
                self.due = min(self.due, self._patience(self.sock.heard))
            ms = time.ticks_diff(until, now)
            if ms <= 0:
                return
            yield select.POLLIN, min(ms, self.due)

    def _answered(self, kind, more=0):
        """Wait for the platform's answer to packet `pid`; more: ms beyond `timeout`."""
        since = self._late = time.ticks_add(time.ticks_ms(), more)
        wanted = kind << 16 | self.pid
        while self.answer >> 8 != wanted:
            if not self.receive():
                yield select.POLLIN, self._patience(since)

    def _patience(self, since):
        """Milliseconds to go on waiting for an answer to what left at `since`. Raises OSError.

        Silence ends it after `timeout`. While something comes, the answer may be queued behind it:
        a packet that is coming in is waited for; between packets half an interval is enough, so
        that a dead way up is noticed although the way down is alive.
        """
        now = time.ticks_ms()
        waited = time.ticks_diff(now, since)
        left = self.timeout - min(waited, time.ticks_diff(now, self.sock.heard))
        if not self._left:
            waited = min(waited, time.ticks_diff(now, self._late))
            left = min(left, self.timeout + self.keepalive * 500 - waited)
        if left <= 0:
            raise OSError(errno.ETIMEDOUT)
        return left

    def _begin(self, first, size):
        """The beginning of a packet to send, after the PUBACKs that are due: bytearray.

        `pid` is that of the packet, where it has one.
        """
        if not self.sock:
            raise NetworkError("not connected")
        self._done()
        head = bytearray(self._acks)
        self._acks = b""
        head.append(first)
        while size > 0x7F:  # MQTT 3.1.1, 2.2.3
            head.append(size & 0x7F | 0x80)
            size >>= 7
        head.append(size)
        if first & 2:  # QoS 1, and SUBSCRIBE
            self.pid = self.pid % 65535 + 1
        return head

    def _done(self):
        """The application has come back: it is done with the message that it took."""
        if self._taken:
            self._acks += b"\x40\x02" + self._taken
            self._taken = b""

    # --- what comes in; nothing here waits

    def receive(self):
        """Take in a packet, or read what is there: whether there was anything.

        Raises OSError when the connection has ended, ProtocolError for what is not MQTT.
        """
        data = self._in
        if self._start < self._end and self._parse(data, self._start, self._end):
            return True
        at = 0
        if self._left:
            data = self._long[3] or data  # type: ignore[index]
            if data is not self._in:
                at = len(data) - self._left
            room = memoryview(data)[at : min(len(data), at + self._left)]
        else:
            if self._start:
                size = self._end - self._start
                data[:size] = data[self._start : self._end]
                self._start = 0
                self._end = size
            room = self._view[self._end :]
        sock = self.sock
        sock.dry = False
        count = 0 if sock.over else sock.io.readinto(room)
        if count is None:
            return False
        if count <= 0:
            raise OSError(-count or errno.ECONNRESET)
        # TLS that gave less, although the stream below it was not dry, has said goodbye.
        sock.over = count < len(room) and sock.io is not sock and not sock.dry
        if self._left:
            self._piece(room[:count])
        else:
            self._end += count
        return True

    def _parse(self, data, start, end):
        """Take in the packet in data[start:end], if it is whole: whether it was."""
        at = start + 1
        size = shift = 0
        while True:
            if shift > 21:
                raise ProtocolError("a packet's length has more than four bytes")
            if at >= end:
                return False
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        stop = at + size
        kind = data[start] >> 4
        view = self._view
        if kind != _PUBLISH or size < 2:
            if (kind, size) not in ((2, 2), (4, 2), (9, 3), (13, 0)) or (
                kind == _CONNACK and self.answer
            ):
                raise ProtocolError("a packet of a kind that nobody asked for")
            if stop > end:
                return False
            self._start = stop
            self._asked = None
            if size:
                self._pinged = time.ticks_ms()
                value = int.from_bytes(view[at:stop], "big")
                if kind == _CONNACK:
                    value &= 0xFF  # the other byte tells of a session, which is always new
                self.answer = kind << 24 | (value << 8 if kind == _PUBACK else value)
            return True
        # A longer one than `data` is begun when it fills it: its topic is in there then.
        if stop > end and (stop - start <= _IN or end - start < _IN):
            return False
        name = at + 2
        if end < name <= stop:
            return False
        at = size > 1 and name + (data[at] << 8 | data[at + 1])
        body = at + (2 if data[start] & 6 else 0)
        if not at or body > stop or data[start] & 4:  # QoS 2 is not known here
            raise ProtocolError("a message whose lengths contradict each other")
        if body > end:
            if body - start <= _IN:
                return False
            raise ProtocolError("a message's topic is too long")
        topic = bytes(view[name:at])
        pid = bytes(view[at:body]) if body > at else b""
        if stop <= end:
            self._start = stop
            self._deliver(topic, bytes(view[body:stop]), pid)
            return True
        # It does not fit: the rest is read to where it belongs, or read off.
        reader = self.readers.get(topic)
        buffer = None
        if not reader and stop - body <= self.limit:
            buffer = bytearray(stop - body)
            buffer[: end - body] = view[body:end]
        self._long = (topic, pid, reader, buffer, time.ticks_ms())
        self._left = stop - body
        self._start = self._end = 0
        self._piece(view[body:end])
        return True

    def _piece(self, piece):
        """Take in a piece of a long message, which is in its buffer already if it has one."""
        topic, pid, reader, buffer, began = self._long  # type: ignore[misc]
        self._left -= len(piece)
        if reader:
            reader(piece, self._left)
        if not self._left:
            self._long = None
            now = time.ticks_ms()
            if time.ticks_diff(now, began) > self.timeout:
                self._late = now
            self._deliver(topic, buffer and bytes(buffer), pid, reader)

    def _deliver(self, topic, payload, pid, done=None):
        """Hand a message to its reader, or put it in the inbox.

        A reader takes the place of the inbox for one topic: it is called with (payload, left).
        A payload that fits what is read ahead comes whole; a longer one in pieces, memoryviews
        that are valid during the call, `left` being the bytes still to come. It must not use the
        session, nor raise.
        """
        reader = self.readers.get(topic)
        # A flood while something else is waited for must not take all the memory.
        full = self.inbox and sum([len(m[1]) + 99 for m in self.inbox]) > 3 * self.limit
        if not reader and payload is not None and not full:
            if topic == b"/ext/notify" and b"kick" in payload:
                self.kicked = True
                log("connected elsewhere with this identity")
            self.inbox.append((topic, payload))
            self._pids.append(pid)
            return
        if pid:
            self._acks += b"\x40\x02" + pid
        if not reader:
            log("a message was dropped: over {} bytes, or too many".format(self.limit))
        elif not done:
            reader(payload, 0)
