"""A device's MQTT connection: TCP and TLS on which nothing blocks, and the session on top.

Every exchange is written once, as a generator that yields (event, ms) where it has to wait:
`Session` waits for it with `select.poll`, `aio` with asyncio. Deadlines follow progress: a wait
ends `timeout` after the last byte went either way, however long the whole takes.

Below TLS lies `Wire`, not the socket: MicroPython's TLS sockets have no timeout of their own, and
one on the socket bounds each read, not the whole. It answers "nothing yet" at once, or waits up
to one absolute deadline where C code cannot be left in between: the handshake, which tells why
it failed only when it is done in one go.
"""

from micropython import const

from . import errno, gc, io, log, phase, select, socket, time
from .errors import NetworkError, ProtocolError, RefusedError, TlsError

try:
    from umqtt.simple import MQTTClient
except ImportError:  # neither frozen nor on flash
    raise ImportError("umqtt.simple: not in this firmware and not in /lib")

_CLOSE = const(4)  # MicroPython's stream protocol: MP_STREAM_CLOSE
_OUT = const(512)  # below TLS, collected bytes that are written out early
_IN = const(512)  # bytes read ahead; a packet that fits is taken in at once
_RECORD = const(1024)  # most bytes of one TLS record
_TOPIC = const(128)  # bytes; platform docs "Limits", as the two that follow
_SLASHES = const(7)
_PAYLOAD = const(262144)
_TRIES = const(3)  # of a message with QoS 1

_CONNACK = const(0x2)
_PUBLISH = const(0x3)
_PUBACK = const(0x4)
_SUBACK = const(0x9)
_UNSUBACK = const(0xB)
_PINGRESP = const(0xD)
_REFUSED = const(0x80)  # SUBACK's return code for "no"

# What an error number means to whoever reads the log. MicroPython's names come first; numbers are
# those that it has no name for: EPIPE, ENFILE, EMFILE, and what lwIP and Linux call no network.
_WORDS = """
no answer in time: ETIMEDOUT
closed by the other end: ECONNRESET ECONNABORTED ENOTCONN EBADF 32
refused: ECONNREFUSED
no way there: EHOSTUNREACH 100 101 114 115 125
out of memory: ENOMEM ENOBUFS
too many sockets: 23 24
"""


def broken(e, where="connection"):
    """The NetworkError for an OSError of a connection, to be raised by the caller."""
    if len(e.args) > 1:
        why = e.args[1]  # Mbed TLS gives (number, name)
    else:
        # Up to MicroPython 1.27 TLS hands on the errors of the stream below it negated.
        code = abs(e.args[0]) if e.args and isinstance(e.args[0], int) else 0
        why = str(errno.errorcode.get(code, code))
        for line in _WORDS.split("\n"):
            text, _, names = line.partition(": ")
            if why in names.split(" "):
                why = text
                break
        else:
            why = "error " + why
    return NetworkError("{}: {}".format(where, why))


class Wire(io.IOBase):
    """The stream below TLS. Answers by value, never by exception: C code is the caller.

    What is written is collected until a `flush`: a handshake flight leaves in one segment instead
    of three that wait for each other's delayed acknowledgement.
    """

    def __init__(self, sock):
        self.sock = sock
        self.out = bytearray()
        self.until = None  # while a read may wait: its deadline, ticks_ms
        self.heard = self.moved = time.ticks_ms()  # when a byte came, and went either way
        self.poll = select.poll()
        self.poll.register(sock, select.POLLIN)

    def wait(self, event, ms):
        """Wait up to `ms` milliseconds for `event`, POLLIN or POLLOUT, or an error."""
        self.poll.modify(self.sock, event)
        for _ in self.poll.ipoll(ms):
            pass

    def readinto(self, buf):
        try:
            while True:
                done = not self.out or self.flush()
                count = self.sock.readinto(buf)
                if count is not None:
                    if count:
                        self.heard = self.moved = time.ticks_ms()
                    return count
                if self.until is None:
                    return None
                left = time.ticks_diff(self.until, time.ticks_ms())
                if left <= 0:
                    return -errno.ETIMEDOUT
                self.wait(select.POLLIN if done else select.POLLIN | select.POLLOUT, left)
        except OSError as e:
            return -abs(e.args[0])

    def write(self, buf):
        self.out.extend(buf)
        try:
            if len(self.out) > _OUT:
                self.flush()
        except OSError as e:
            return -abs(e.args[0])
        return len(buf)

    def flush(self):
        """Send what was collected, as far as it goes: whether it all went. Raises OSError."""
        at = memoryview(self.out)
        while at:
            count = self.sock.write(at)
            if not count:
                self.out = bytearray(at)
                return False
            self.moved = time.ticks_ms()
            at = at[count:]
        self.out = bytearray()
        return True

    def ioctl(self, request, arg):
        if request == _CLOSE:
            self.close()
        return 0

    def close(self):
        """Let go of the socket; a goodbye of TLS that was collected leaves if it can."""
        try:
            self.flush()
        except OSError:
            pass  # it is gone already
        self.sock.close()


class Stream:
    """A connection to a host, over TLS or plain TCP, that never waits: see `opening`."""

    def __init__(self):
        self.wire = None
        self.io = None  # the TLS stream, or the wire itself

    def opening(self, host, port, ms, context=None, split=False):
        """Open it within `ms` milliseconds, TLS handshake included: yields (event, ms).

        host, port: where to; the name look-up itself cannot be bounded on stock firmware.
        context: for TLS; None for plain TCP. split: leave the handshake to `sending`, which
            yields while it waits; then nobody learns why a certificate is refused.
        Raises NetworkError, or TlsError when the other end does not prove to be `host`.
        """
        until = time.ticks_add(time.ticks_ms(), ms)
        try:
            address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
        except (OSError, IndexError):
            raise NetworkError("no address found for " + host)
        try:
            sock = socket.socket()
        except OSError as e:
            raise broken(e, host)
        try:
            wire = self.io = self.wire = Wire(sock)
            sock.setblocking(False)
            try:
                sock.connect(address)
            except OSError as e:
                if e.args[0] != errno.EINPROGRESS:
                    raise
            yield select.POLLOUT, self.left(until)
            if context:
                wire.until = None if split else until
                self.io = context.wrap_socket(
                    wire, server_hostname=host, do_handshake_on_connect=not split
                )
                wire.until = None
        except ValueError as e:
            # Mbed TLS says here why it does not trust the certificate.
            self.close()
            raise TlsError("{}: {}".format(host, " ".join(str(e).split())))
        except OSError as e:
            self.close()
            raise broken(e, host)

    def left(self, until):
        """Milliseconds left until `until`, ticks_ms. Raises OSError when there are none."""
        left = time.ticks_diff(until, time.ticks_ms())
        if left <= 0:
            raise OSError(errno.ETIMEDOUT)
        return left

    def sending(self, data, rest=b"", timeout=10000):
        """Send two pieces of bytes, in TLS records of 1 kB at the most: yields (event, ms).

        Raises OSError when nothing moved for `timeout` milliseconds.
        """
        wire = self.wire
        wire.moved = time.ticks_ms()
        at = memoryview(rest)
        while True:
            count = self.io.write(data)
            if count is not None and count < 0:  # from the wire itself: TLS would have raised
                raise OSError(-count)
            while not wire.flush():
                yield select.POLLOUT, self.left(time.ticks_add(wire.moved, timeout))
            if count is None:  # the handshake goes on
                yield select.POLLIN, self.left(time.ticks_add(wire.moved, timeout))
                continue
            if not at:
                return
            data = at[:_RECORD]
            at = at[_RECORD:]

    def close(self):
        """Let go of the connection. Never raises: there is nothing a caller could do."""
        stream = self.io
        self.io = None
        if stream:
            try:
                stream.close()  # frees what Mbed TLS holds outside the Python heap
                self.wire.close()  # where that did not
            except OSError:
                pass


def drive(steps, stream):
    """Carry out a generator that yields (event, ms), waiting for each event on `stream`."""
    for event, ms in steps:
        stream.wire.wait(event, ms)


def _name(topic):
    """Check a topic to publish to, str or bytes: bytes."""
    name = topic.encode() if isinstance(topic, str) else bytes(topic)
    try:
        text = name.decode()
    except UnicodeError:
        raise ValueError("topic: expected UTF-8")
    if not name or b"\0" in name:
        raise ValueError("topic: expected 1 to 128 bytes without NUL")
    # The answer to a remote call carries the caller's own topic below /ext/rrpc.
    if len(name) > _TOPIC and not name.startswith(b"/ext/rrpc/"):
        raise ValueError("topic: expected at most 128 bytes")
    return name


def _content(payload):
    """Check a payload: bytes-like, whose items are bytes."""
    if isinstance(payload, str):
        payload = payload.encode()
    elif not isinstance(payload, (bytes, bytearray)):
        # A buffer of wider items has another length in items than in bytes.
        if len(bytes(memoryview(payload)[:1])) > 1:
            raise TypeError("payload: expected a buffer of bytes, not of wider items")
    if len(payload) > _PAYLOAD:
        raise ValueError("payload: expected at most 262144 bytes")
    return payload


class Session(MQTTClient):
    """One MQTT connection at a time, and what outlives it: topics, an unacknowledged message.

    An `MQTTClient` of umqtt.simple 1.3.4 (PyPI) to 1.8 (frozen, each firmware its own) to programs
    that use one. What it inherits that reads or waits is replaced: that cannot be bounded in time,
    and changed between the versions.

    product_key, device_name: whose session this is, str. host, port: where to.
    keepalive: seconds. context: TLS context, or None for plain TCP.
    All methods raise NetworkError or ProtocolError when the connection is lost; it is closed
    then, and `Device.connect()` brings everything back. What a caller did wrong is a ValueError
    or TypeError before anything is sent; the session goes on.
    """

    timeout = 10000  # milliseconds without progress, in one exchange with the platform
    connect_timeout = 20000  # milliseconds for connection, TLS handshake and CONNACK together
    limit = 8192  # longest message kept, bytes; a longer one is read off and dropped

    def __init__(self, product_key, device_name, host, port, keepalive, context):
        super().__init__(b"", host, port, keepalive=keepalive)
        self.cb = None
        self.product_key = product_key
        self.device_name = device_name
        self.context = context
        self.topics = []  # subscribed, to be subscribed again
        self.inbox = []  # (topic, payload) received and not yet taken by the application
        self.readers = {b"/ext/notify": self._notified}  # topic: reader(payload, left), see README
        self.unacked = None  # (topic, payload) sent with QoS 1 when the connection was lost
        self.given_up = None  # the same, after three tries
        self.kicked = False  # whether another connection of this identity ended this one
        self._failed = 0  # tries to send `unacked`
        self._in = bytearray(_IN)  # what was read: [_start:_end] is still to be taken in
        self._reset()

    def _reset(self):
        self.sock = None
        # Packet ids of the messages in the inbox: bytes, empty for QoS 0 and another connection's.
        self._pids = [b""] * len(self.inbox)
        self._start = self._end = 0
        self._long = None  # (topic, packet id, reader, buffer): a packet longer than `_in`
        self._left = 0  # bytes of it still to come
        self._acks = b""  # PUBACKs to be sent
        self._taken = b""  # packet id of the message that the application is at
        self._answer = 0  # latest: kind << 24 | packet id << 8 | return code
        self._asked = None  # when the ping left that has no answer yet
        self._proved = time.ticks_ms()  # when the platform last answered anything of ours

    def topic(self, tail):
        """The device's own topic `/sys/{ProductKey}/{DeviceName}/{tail}`: str."""
        return "/sys/{}/{}/{}".format(self.product_key, self.device_name, tail)

    # --- exchanges: each may be called by an application

    def connect(self, packet):  # type: ignore[override]
        """Connect, subscribe again, send again what was not acknowledged.

        packet: the whole CONNECT as bytes, see `credentials.connect_packet`.
        Raises NetworkError, TlsError, ProtocolError; BusyError, RefusedError or Fatal by the
        platform's answer, its CONNACK code in `.code`.
        """
        self.close()
        self._run(self.connecting(packet))

    def publish(self, topic, payload, retain=False, qos=0):
        """Send `payload` to `topic` (str or bytes); with qos=1 return when it is acknowledged.

        payload: str, or any buffer of bytes, up to 262,144. topic: up to 128 bytes and 7 slashes.
        A QoS 1 message whose connection is lost is kept and sent again by the next connect, three
        times in all; then it is `given_up`. The caller gets the exception all the same.
        The platform keeps no retained messages.
        """
        self._run(self.publishing(topic, payload, qos))

    def reply(self, topic, payload):
        """Answer a remote call (RRPC) or service call that came on `topic`, bytes; see `publish`.

        The topic to answer on is the platform's rule: the same below /ext/rrpc, `rrpc/response`
        for `rrpc/request`, `.._reply` for the rest.
        """
        if not topic.startswith(b"/ext/rrpc/"):
            answer = topic.replace(b"/rrpc/request/", b"/rrpc/response/")
            topic = answer if answer != topic else topic + b"_reply"
        self.publish(topic, payload)

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` (str or bytes), now and after every connect.

        The sender's QoS rules on this platform: `qos` is taken for umqtt's sake and not used.
        Raises RefusedError when the platform refuses the topic; the session goes on.
        """
        self._run(self.subscribing(topic))

    def unsubscribe(self, topic):
        """Take back `subscribe`."""
        self._run(self.subscribing(topic, True))

    def ping(self):
        """umqtt's: ask whether the platform is there. `wait` does so by itself."""
        self._run(self._pinging())

    def wait(self, ms):
        """Wait up to `ms` milliseconds for a message: (topic, payload), bytes each, or None.

        Keeps the connection alive: call it at least every `keepalive` seconds. A message with
        QoS 1 is acknowledged by the next call of the session, when the application is done with
        it; a board that is reset in between may be sent it again, or not: the platform decides.
        """
        self._run(self.waiting(ms))
        return self.take()

    def check_msg(self):
        """umqtt's: take in what is there; messages go to the callback, or stay for `wait`."""
        self._run(self.waiting(0))
        self._call_back()

    def wait_msg(self):
        """umqtt's: wait for a message, for ever if need be; see `check_msg`."""
        while not self.inbox:
            self._run(self.waiting(60000))
        self._call_back()

    def _call_back(self):
        # Out here, where what the application's function raises is nobody else's fault.
        while self.cb and self.inbox:
            self.cb(*self.take())

    def take(self):
        """The next message of the inbox, or None; see `wait`."""
        if not self.inbox:
            return None
        self._taken = self._pids.pop(0)
        return self.inbox.pop(0)

    def disconnect(self):
        """umqtt's: the same as `close`."""
        self.close()

    def close(self):
        """Say goodbye if there is a connection, and let go of it. Never raises."""
        sock = self.sock
        if sock and sock.io:
            try:
                self._done()
                drive(sock.sending(self._acks + b"\xe0\0", timeout=1000), sock)
            except OSError:
                pass  # it is gone already
        self._drop()

    def _drop(self):
        sock = self.sock
        self._reset()
        if sock:
            sock.close()

    def _run(self, steps):
        whole = False
        try:
            for event, ms in steps:
                self.sock.wire.wait(event, ms)
            whole = True
        except OSError as e:
            raise broken(e)
        except RefusedError as e:
            whole = e.code == _REFUSED  # a topic; the rest refuse the connection
            raise
        finally:
            if not whole:
                self._drop()

    # --- the same, as generators that yield (event, ms) where they wait

    def connecting(self, packet, split=False):
        """As `connect`, for whoever waits otherwise; split: see `Stream.opening`."""
        self._drop()
        until = time.ticks_add(time.ticks_ms(), self.connect_timeout)
        sock = self.sock = Stream()
        self.kicked = False
        gc.collect()  # TLS is about to want large pieces of memory
        yield from sock.opening(self.server, self.port, self.connect_timeout, self.context, split)
        yield from sock.sending(packet, timeout=self.timeout)
        while not self._answer:
            if not (self._parse() or self._fill()):
                yield select.POLLIN, sock.left(until)
        if self._answer >> 24 != _CONNACK:
            raise ProtocolError("connect: the answer is not a CONNACK")
        if self._answer & 0xFF:
            raise phase(_refusal, self._answer & 0xFF)
        for topic in list(self.topics):
            try:
                yield from self._subscribing(topic)
            except RefusedError:
                self.topics.remove(topic)
                log("a topic is no longer this device's: not subscribed")
        if self.unacked:
            yield from self._publishing(self.unacked[0], self.unacked[1], 1)

    def publishing(self, topic, payload, qos=0):
        """As `publish`, for whoever waits otherwise."""
        topic = _name(topic)
        if b"+" in topic or b"#" in topic:
            raise ValueError("topic: expected one without wildcards")
        if topic.count(b"/") > _SLASHES and not topic.startswith(b"/ext/rrpc/"):
            raise ValueError("topic: expected at most 7 slashes")
        payload = _content(payload)
        if qos not in (0, 1):
            raise ValueError("qos: expected 0 or 1")
        self._check_open()
        if qos:
            self.unacked = (topic, payload)
            self._failed = 0
        return self._publishing(topic, payload, qos)

    def _publishing(self, topic, payload, qos):
        self._done()
        size = 2 + len(topic) + 2 * qos + len(payload)
        head = bytearray(self._acks)
        self._acks = b""
        head.append(_PUBLISH << 4 | qos << 1)
        _add_length(head, size)
        head.extend(len(topic).to_bytes(2, "big"))
        head.extend(topic)
        pid = 0
        if qos:
            pid = self.pid = self.pid % 65535 + 1
            head.extend(pid.to_bytes(2, "big"))
            self._failed += 1
        payload = memoryview(payload)
        first = max(0, min(len(payload), _RECORD - len(head)))
        head.extend(payload[:first])
        try:
            yield from self.sock.sending(head, payload[first:], self.timeout)
            if qos:
                # What the network may still hold of it when the last byte has left: 64 kB at 8 kB/s.
                yield from self._answered(_PUBACK, pid, min(size, 65536) >> 3)
                self.unacked = None
        finally:
            if self.unacked and self._failed >= _TRIES:
                self.given_up = self.unacked
                self.unacked = None
                log("a message with QoS 1 could not be sent in three tries: given up")

    def subscribing(self, topic, off=False):
        """As `subscribe` and, `off`, `unsubscribe`, for whoever waits otherwise."""
        topic = _name(topic)
        self._check_open()
        return self._subscribing(topic, off)

    def _subscribing(self, topic, off=False):
        self._done()
        pid = self.pid = self.pid % 65535 + 1
        head = bytearray(self._acks)
        self._acks = b""
        head.append(0xA2 if off else 0x82)
        _add_length(head, 4 + len(topic) + (not off))
        head.extend(pid.to_bytes(2, "big"))
        head.extend(len(topic).to_bytes(2, "big"))
        head.extend(topic if off else topic + b"\x01")
        yield from self.sock.sending(head, timeout=self.timeout)
        yield from self._answered(_UNSUBACK if off else _SUBACK, pid)
        if self._answer & 0xFF == _REFUSED:
            raise RefusedError("subscribe: not a topic of this device", _REFUSED)
        if off:
            if topic in self.topics:
                self.topics.remove(topic)
        elif topic not in self.topics:
            self.topics.append(topic)

    def _pinging(self):
        self._check_open()
        packet = self._acks + b"\xc0\0"
        self._acks = b""
        self._asked = time.ticks_ms()
        yield from self.sock.sending(packet, timeout=self.timeout)

    def waiting(self, ms):
        """As `wait`, for whoever waits otherwise: done when there is a message, or none in time."""
        self._done()
        until = time.ticks_add(time.ticks_ms(), ms)
        while not self.inbox:
            self._check_open()
            if self._parse() or self._fill():
                continue  # all that has arrived counts before anything is judged
            if self._acks:
                acks = self._acks
                self._acks = b""
                yield from self.sock.sending(acks, timeout=self.timeout)
            now = time.ticks_ms()
            if self._asked is not None:
                due = self._patience(self._asked)
            else:
                # The platform closes after one and a half intervals without a packet, and the
                # application may come by but once an interval.
                due = self.keepalive * 400 - time.ticks_diff(now, self._proved)
                if due <= 0:
                    yield from self._pinging()
                    due = self.timeout
            left = time.ticks_diff(until, now)
            if left <= 0:
                break
            yield select.POLLIN, min(left, due)

    def _answered(self, kind, pid, more=0):
        """Wait for the platform's answer; more: milliseconds beyond `timeout`."""
        since = time.ticks_add(time.ticks_ms(), more)
        while self._answer >> 8 != kind << 16 | pid:
            if not (self._parse() or self._fill()):
                yield select.POLLIN, self._patience(since)

    def _patience(self, since):
        """Milliseconds to go on waiting for an answer to what left at `since`. Raises OSError.

        Silence ends it after `timeout`. While something comes, the answer may be queued behind it:
        a packet that is coming in is waited for; between packets half an interval is enough, so
        that a dead way up is noticed although the way down is alive.
        """
        now = time.ticks_ms()
        waited = time.ticks_diff(now, since)
        left = self.timeout - min(waited, time.ticks_diff(now, self.sock.wire.heard))
        if not self._left:
            left = min(left, self.timeout + self.keepalive * 500 - waited)
        if left <= 0:
            raise OSError(errno.ETIMEDOUT)
        return left

    def _check_open(self):
        if not self.sock:
            raise NetworkError("not connected")

    def _done(self):
        """The application has come back: it is done with the message that it took."""
        if self._taken:
            self._ack(self._taken)
            self._taken = b""

    def _ack(self, pid):
        if pid:
            self._acks += b"\x40\x02" + pid

    # --- what comes in; nothing here waits

    def _fill(self):
        """Read what is there: whether that was anything. Raises OSError when it has ended."""
        into = self._in
        if self._left:
            into = self._long[3] or into
            at = max(0, len(into) - self._left) if self._long[3] else 0
            room = memoryview(into)[at : min(len(into), at + self._left)]
        else:
            if self._start:
                size = self._end - self._start
                into[:size] = into[self._start : self._end]
                self._start = 0
                self._end = size
            room = memoryview(into)[self._end :]
        count = self.sock.io.readinto(room)
        if count is None:
            return False
        if count <= 0:
            raise OSError(-count or errno.ECONNRESET)
        if self._left:
            self._piece(room[:count])
        else:
            self._end += count
        return True

    def _parse(self):
        """Take in one packet of what was read: whether there was one."""
        data = self._in
        start = self._start
        end = self._end
        at = start + 1
        size = shift = 0
        while True:
            if at >= end:
                return False
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise ProtocolError("a packet's length has more than four bytes")
        kind = data[start] >> 4
        stop = at + size
        if stop > end and stop - start <= _IN:
            return False
        if kind != _PUBLISH:
            if stop > end or not (kind << 8 | size) in (
                _CONNACK << 8 | 2,
                _PUBACK << 8 | 2,
                _SUBACK << 8 | 3,
                _UNSUBACK << 8 | 2,
                _PINGRESP << 8,
            ):
                raise ProtocolError("a packet of a kind that nobody asked for")
            self._start = stop
            self._proved = time.ticks_ms()
            self._asked = None
            if kind == _CONNACK:
                self._answer = kind << 24 | data[at + 1]
            elif kind != _PINGRESP:
                pid = data[at] << 8 | data[at + 1]
                self._answer = kind << 24 | pid << 8 | (data[at + 2] if size > 2 else 0)
            return True
        if end < at + 2 <= stop:
            return False
        name = at + 2
        at = name + (data[name - 2] << 8 | data[name - 1])
        qos = data[start] >> 1 & 3
        body = at + 2 * (qos > 0)
        if size < 2 or body > stop or qos == 3:
            raise ProtocolError("a message whose lengths contradict each other")
        if body > end:
            if body - start <= _IN:
                return False
            raise ProtocolError("a message's topic is too long")
        topic = bytes(memoryview(data)[name:at])
        pid = bytes(memoryview(data)[at:body])
        if stop <= end:
            self._start = stop
            self._deliver(topic, bytes(memoryview(data)[body:stop]), pid)
            return True
        # It does not fit: the rest is read to where it belongs, or read off.
        size = stop - body
        reader = self.readers.get(topic)
        keep = not reader and size <= self.limit and not self._full()
        buffer = bytearray(size) if keep else None
        self._long = (topic, pid, reader, buffer)
        self._left = size
        self._start = self._end = 0
        piece = memoryview(data)[body:end]
        if buffer:
            buffer[: end - body] = piece
        self._piece(piece)
        return True

    def _piece(self, piece):
        """Take in a piece of a long message, which is in its buffer already if it has one."""
        topic, pid, reader, buffer = self._long
        self._left -= len(piece)
        if reader:
            reader(piece, self._left)
        if self._left:
            return
        self._long = None
        if buffer:
            self._deliver(topic, bytes(buffer), pid)
        else:
            self._ack(pid)
            if not reader:
                self._dropped()

    def _deliver(self, topic, payload, pid):
        reader = self.readers.get(topic)
        if reader:
            self._ack(pid)
            reader(payload, 0)
        elif self._full():
            self._ack(pid)
            self._dropped()
        else:
            self.inbox.append((topic, payload))
            self._pids.append(pid)

    def _full(self):
        # A flood while something else is waited for must not take all the memory.
        return sum([len(m[1]) + 99 for m in self.inbox]) > 3 * self.limit

    def _dropped(self):
        log("a message was dropped: over {} bytes, or too many unread".format(self.limit))

    def _notified(self, payload, left):
        if b"kick" in bytes(payload):
            self.kicked = True
            log("connected elsewhere with this identity")


def _add_length(packet, size):
    """Add MQTT's "remaining length" (MQTT 3.1.1, 2.2.3)."""
    while size > 0x7F:
        packet.append(size & 0x7F | 0x80)
        size >>= 7
    packet.append(size)


def _refusal(code):
    from .credentials import refusal

    return refusal(code)
