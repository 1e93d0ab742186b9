"""A device's MQTT session, which stays loaded while the device is connected.

Each exchange is written once, as a generator that yields (event, ms) where it has to wait, for
both `Session` and `aio`; see `wire`.
"""

from micropython import const

from . import NetworkError, ProtocolError, RefusedError, errno, log, phase, select, time, wire

_IN = const(256)  # bytes read ahead; a packet that fits is handled in one piece
_FIRST = const(1024)  # bytes: a message up to this size is sent in one piece with its header
_TOPIC = const(128)  # bytes; platform docs "Limits", like the next two
_SLASHES = const(7)
_PAYLOAD = const(262144)
_TRIES = const(3)  # attempts to send a QoS 1 message
_ACKS = const(60)  # bytes of PUBACKs that may be held back while more arrives

_CONNACK = const(0x2)
_PUBLISH = const(0x3)
_PUBACK = const(0x4)
_SUBACK = const(0x9)
_PINGRESP = const(0xD)
_REFUSED = const(0x80)  # SUBACK's return code for failure


def _checked(topic):
    """A topic, str or bytes, as bytes. Raises ValueError if it cannot be one."""
    good = isinstance(topic, str)
    topic = topic.encode() if good else bytes(topic)
    # The reply to a remote call repeats the caller's topic below /ext/rrpc.
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

    It has the methods of umqtt.simple, for programs that know those, but not its code, which
    cannot be bounded in time, changes from version to version, and takes heap.

    product_key, device_name: whose session this is, str. host, port: where to connect.
    keepalive: seconds. context: TLS context, or None for plain TCP.
    All methods raise NetworkError or ProtocolError if the connection is lost; it is closed then,
    and `Device.connect()` restores everything. A caller's mistake is a ValueError or TypeError
    before anything is sent; the session goes on.
    """

    sock: "wire.Wire"
    device: "object"  # the Device whose session it is, if there is one
    pid: int

    timeout = 10000  # milliseconds without progress, in one exchange with the platform
    connect_timeout = 20000  # milliseconds for connection, TLS handshake and CONNACK together
    limit = 8192  # longest message kept, bytes; a longer one is read and dropped

    # Attributes of the class, as each costs more heap in the instance.
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
        self.topics = []  # subscribed, and subscribed again after a reconnect
        self.inbox = []  # (topic, payload) received and not yet taken by the application
        self.readers = {}  # see `_deliver`
        self._in = bytearray(_IN)  # what was read: [_start:_end] is still to be handled
        self._view = memoryview(self._in)
        self.drop()

    def topic(self, tail):
        """The device's own topic `/sys/{ProductKey}/{DeviceName}/{tail}`: str."""
        return "/sys/{}/{}/{}".format(self.product_key, self.device_name, tail)

    # --- exchanges, for an application

    def connect(self, packet):
        """Connect, restore subscriptions, resend what was not acknowledged.

        packet: the whole CONNECT as bytes, see `credentials.connect_packet`.
        Raises NetworkError, TlsError, ProtocolError; or, by the platform's answer, BusyError,
        RefusedError or Fatal with the CONNACK code in `.code`.
        """
        self.close()
        self.run(self.connecting(packet))

    def publish(self, topic, payload, retain=False, qos=0):
        """Send `payload` to `topic` (str or bytes); with qos=1 return once it is acknowledged.

        payload: str, or any buffer of bytes, up to 262,144. topic: up to 128 bytes and 7 slashes.
        If the connection is lost, a QoS 1 message is kept and sent again by the next connect,
        three times in all; then it moves to `given_up`. The exception is raised either way.
        retain has no effect: the platform keeps no retained messages.
        """
        self.run(self.publishing(topic, payload, qos))

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` (str or bytes), now and after every connect.

        qos has no effect, and is there for umqtt's sake: here the sender's QoS counts.
        Raises RefusedError if the platform refuses the topic; the session goes on.
        """
        self.run(self.subscribing(topic))

    def wait(self, ms):
        """Wait up to `ms` milliseconds for a message: (topic, payload), bytes each, or None.

        Keeps the connection alive: call it at least every `keepalive` seconds. A QoS 1 message is
        acknowledged by the next call of a method, when the application is done with it. If the
        board is reset before that, the platform decides whether to send the message again.
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
        """As in umqtt: `check_msg` and `wait_msg` call function(topic, payload), both bytes."""
        self.cb = function

    def check_msg(self):
        """As in umqtt: handle what has arrived; messages go to the callback, or to `wait`."""
        for _ in range(99):  # bounded: in a flood the application's loop gets its turn
            # Without a callback, messages left in the inbox must not stop it from reading on.
            self.run(self.waiting(0 if self.cb else -1))
            # Outside of `run`: an error of the application's function does not end the connection.
            if not self.cb or not self.inbox:
                break
            self.cb(*self.take())

    def wait_msg(self):
        """As in umqtt: wait for a message, without a limit; see `check_msg`."""
        while not self.inbox:
            self.run(self.waiting(60000))
        self.check_msg()

    ping = check_msg  # as in umqtt: `check_msg` sends a PINGREQ when it is time

    def close(self):
        """Send DISCONNECT and close the connection, if there is one. Never raises."""
        if self.sock:
            try:
                self.run(self.sock.sending(self._begin(0xE0, 0), b"", 1000))
            except NetworkError:
                pass  # already lost
            self.drop()

    disconnect = close  # as in umqtt

    def drop(self):
        """Close the connection without a DISCONNECT, and reset what belongs to it."""
        if self.sock:
            self.sock.io.close()  # also frees what Mbed TLS holds outside the Python heap
        self.sock = None  # type: ignore[assignment]
        # Packet ids of the messages in the inbox: bytes, empty for QoS 0 or an earlier connection.
        self._pids = [b""] * len(self.inbox)
        self._start = self._end = 0
        # A packet longer than `_in`: (topic, packet id, reader, buffer, when it began).
        self._long = None  # type: ignore[var-annotated]
        self._left = 0  # bytes of it still to come
        self._acks = b""  # PUBACKs to be sent
        self._taken = b""  # packet id of the message that the application is handling
        self.answer = 0  # latest: kind << 24 | packet id << 8 | return code
        self.due = 0  # milliseconds after which `waiting` has to look again
        self._asked = None  # when the PINGREQ was sent that is not answered yet
        self._pinged = time.ticks_ms()  # when a PINGREQ was sent, or anything of ours was answered
        self._late = self._pinged  # when the end came of what may have held up an answer

    def run(self, steps):
        """Run an exchange, a generator that yields (event, ms) where it has to wait."""
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
            whole = e.code == _REFUSED  # of a topic; other codes refuse the connection
            raise
        finally:
            if not whole:
                self.drop()

    # --- the same as generators, for `aio`

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
        """As `publish`; again: resend `unacked`, which has been checked before."""
        if not again:
            topic = _checked(topic)
            if isinstance(payload, str):
                payload = payload.encode()
            # The len() of a buffer with wider items is not its length in bytes.
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
                self.unacked = (topic, bytes(payload))  # a copy, as a buffer may change
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
                # Up to 64 kB may still be buffered on the way; allow for 8 kB/s.
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
        """As `wait`: ends when there is a message in the inbox, or `ms` have passed.

        done: ends when done() is true instead; what arrives goes to readers, see `_deliver`.
        """
        self._done()
        until = time.ticks_add(time.ticks_ms(), ms)
        while True:
            now = time.ticks_ms()
            # The platform closes the connection after 1.5 intervals without a packet, and the
            # application may call only once an interval, or not keep up with what arrives.
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
                continue  # handle all that has arrived before judging any silence
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
        """Wait for the platform's answer to packet `pid`; more: ms in addition to `timeout`."""
        since = self._late = time.ticks_add(time.ticks_ms(), more)
        wanted = kind << 16 | self.pid
        while self.answer >> 8 != wanted:
            if not self.receive():
                yield select.POLLIN, self._patience(since)

    def _patience(self, since):
        """Milliseconds to keep waiting for an answer to what was sent at `since`. Raises OSError.

        Silence ends the wait after `timeout`. While data arrives, the answer may be queued behind
        it: a packet that is arriving is always waited for. Between packets, half a keepalive
        interval is the most, so that a dead uplink is noticed although the downlink is alive.
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
        """The start of a packet to send, preceded by the PUBACKs that are due: bytearray.

        `pid` is set to the packet's id, if it has one.
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
        """Acknowledge the message that the application took: it is back, so it is done with it."""
        if self._taken:
            self._acks += b"\x40\x02" + self._taken
            self._taken = b""

    # --- receiving; nothing here waits

    def receive(self):
        """Handle a packet, or read what has arrived: whether there was anything.

        Raises OSError if the connection has ended, ProtocolError for anything but MQTT.
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
        # TLS that returned less, although the stream below it was not dry, got a close_notify.
        sock.over = count < len(room) and sock.io is not sock and not sock.dry
        if self._left:
            self._piece(room[:count])
        else:
            self._end += count
        return True

    def _parse(self, data, start, end):
        """Handle the packet in data[start:end] if it is complete: whether it was."""
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
                    value &= 0xFF  # the other byte is "session present", which it never is
                self.answer = kind << 24 | (value << 8 if kind == _PUBACK else value)
            return True
        # One longer than `data` is handled once it fills it, which includes its topic.
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
        # It does not fit: read the rest straight to where it belongs, or discard it.
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
        """Handle a piece of a long message, which is already in its buffer if it has one."""
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
        """Pass a message to its reader, or put it in the inbox.

        A reader replaces the inbox for one topic: it is called with (payload, left). A payload
        that fits the read-ahead buffer comes in one piece, a longer one in several: memoryviews
        that are valid during the call, `left` being the bytes still to come. A reader must neither
        use the session nor raise.
        """
        reader = self.readers.get(topic)
        # A flood during another exchange must not use up the memory.
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
