"""TCP and TLS on which nothing blocks.

What waits is a generator that yields (event, ms); `drive` waits for it with `select.poll`, `aio`
with asyncio. Deadlines follow progress: a wait ends so long after the last byte went either way.
"""

from micropython import const

from . import NetworkError, TlsError, errno, io, select, socket, time, time_is_set

_CLOSE = const(4)  # MicroPython's stream protocol: MP_STREAM_CLOSE
_OUT = const(512)  # below TLS, collected bytes that are written out early
_RECORD = const(1024)  # most bytes of one TLS record

# What an error number means to whoever reads the log. MicroPython's names come first; numbers are
# those that it has no name for: EPIPE, ENFILE, EMFILE, and what lwIP and Linux call no network.
_WORDS = const(
    "no answer in time ETIMEDOUT \n"
    "closed by the other end ECONNRESET ECONNABORTED ENOTCONN EBADF 32 \n"
    "refused ECONNREFUSED \n"
    "no way there EHOSTUNREACH 100 101 114 115 \n"
    "out of memory ENOMEM ENOBUFS \n"
    "too many sockets 23 24 \n"
)


def broken(e, where="connection"):
    """The NetworkError for an OSError of a connection, to be raised by the caller."""
    if len(e.args) > 1:
        why = e.args[1]  # Mbed TLS gives (number, name)
    else:
        # Up to MicroPython 1.27 TLS hands on the errors of the stream below it negated.
        why = abs(e.args[0])
        why = str(errno.errorcode.get(why, why))
        for line in _WORDS.split("\n"):
            if " " + why + " " in line:
                why = " ".join([word for word in line.split(" ") if word.islower()])
    return NetworkError("{}: {}".format(where, why))


class Wire(io.IOBase):
    """The stream below TLS, in the socket's place. Answers by value: C code is the caller.

    MicroPython's TLS sockets have no timeout of their own, and one on the socket bounds each read,
    not the whole. This one answers "nothing yet" at once, or waits up to one absolute deadline
    where C code cannot be left in between: the handshake tells why it failed only when it is done
    in one go. What is written is collected until a `flush`: a handshake flight leaves in one
    segment instead of three that wait for each other's delayed acknowledgement.
    """

    def __init__(self, sock):
        self.sock = sock
        self.io = self  # the TLS stream above it, once there is one
        self.out = bytearray()
        self.until = None  # while a read may wait: its deadline, ticks_ms
        self.dry = self.over = False  # see `Session.receive`
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
                if count:
                    self.heard = self.moved = time.ticks_ms()
                if count is not None:
                    return count
                if self.until is None:
                    self.dry = True
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
        while self.out:
            count = self.sock.write(self.out)
            if not count:
                return False
            self.moved = time.ticks_ms()
            self.out = self.out[count:]
        return True

    def ioctl(self, request, arg):
        if request == _CLOSE:
            self.close()
        return 0

    def close(self):
        try:
            if self.out:
                self.flush()  # TLS's own goodbye
        except (OSError, MemoryError):
            pass  # it is gone already; or the garbage collector calls, who lends no memory
        self.sock.close()

    def sending(self, data, rest=b"", timeout=10000):
        """Send two pieces of bytes, in TLS records of 1 kB at the most: yields (event, ms).

        Raises OSError when nothing moved for `timeout` milliseconds.
        """
        self.moved = time.ticks_ms()
        at = memoryview(rest)
        while True:
            count = self.io.write(data)
            if count is not None and count < 0:  # from here: TLS would have raised
                raise OSError(-count)
            while True:
                done = self.flush()
                if done and count is not None:
                    break
                # Without a count, a handshake goes on.
                left = timeout - time.ticks_diff(time.ticks_ms(), self.moved)
                if left <= 0:
                    raise OSError(errno.ETIMEDOUT)
                yield select.POLLIN if done else select.POLLOUT, left
                if count is None:
                    count = self.io.write(data)
            if not at:
                return
            data = at[:_RECORD]
            at = at[_RECORD:]


def left(until):
    """Milliseconds left until `until`, ticks_ms. Raises OSError when there are none."""
    ms = time.ticks_diff(until, time.ticks_ms())
    if ms <= 0:
        raise OSError(errno.ETIMEDOUT)
    return ms


def opening(hold, host, port, ms, context=None, split=False):
    """Open a connection within `ms` milliseconds, TLS handshake included: yields (event, ms).

    hold: gets the Wire as its `.sock`, as soon as there is one. host, port: where to; the name
    look-up itself cannot be bounded on stock firmware. context: for TLS; None for plain TCP.
    split: leave the handshake to `Wire.sending`, which yields while it waits; then nobody learns
    why a certificate is refused.
    Raises NetworkError, or TlsError when the other end does not prove to be `host`.
    """
    until = time.ticks_add(time.ticks_ms(), ms)
    try:
        address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
    except (OSError, IndexError):
        raise NetworkError("no address found for " + host)
    try:
        sock = socket.socket()
        wire = hold.sock = Wire(sock)
        sock.setblocking(False)
        try:
            sock.connect(address)
        except OSError as e:
            if e.args[0] != errno.EINPROGRESS:
                raise
        yield select.POLLOUT, left(until)
        if context:
            wire.until = None if split else until
            wire.io = context.wrap_socket(
                wire, server_hostname=host, do_handshake_on_connect=not split
            )
            wire.until = None
    except ValueError as e:
        # Mbed TLS says here why it does not trust the certificate.
        why = " ".join(str(e).split())
        if not time_is_set():
            why += " (the clock was never set: no NTP)"
        raise TlsError("{}: {}".format(host, why))
    except OSError as e:
        raise broken(e, host)


def drive(steps, hold):
    """Carry out a generator that yields (event, ms), waiting on `hold.sock`."""
    for event, ms in steps:
        hold.sock.wait(event, ms)
