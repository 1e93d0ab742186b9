"""Non-blocking TCP and TLS.

Whatever has to wait is a generator that yields (event, ms); `drive` does the waiting with
`select.poll`, `aio` with asyncio. Deadlines follow progress: they count from the last byte that
went either way.
"""

from micropython import const

from . import NetworkError, TlsError, errno, io, select, socket, time, time_is_set

_CLOSE = const(4)  # MicroPython's stream protocol: MP_STREAM_CLOSE
_OUT = const(512)  # bytes collected below TLS before they are sent without a flush
_RECORD = const(1024)  # maximum bytes of one TLS record

# What an error means, for the log. Numbers stand for errors that MicroPython has no name for:
# EPIPE, ENFILE, EMFILE, and lwIP's and Linux's for a network that is down.
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
        # Up to MicroPython 1.27, TLS passes on the errors of the stream below it negated.
        why = abs(e.args[0])
        why = str(errno.errorcode.get(why, why))
        for line in _WORDS.split("\n"):
            if " " + why + " " in line:
                why = " ".join([word for word in line.split(" ") if word.islower()])
    return NetworkError("{}: {}".format(where, why))


class Wire(io.IOBase):
    """The stream below TLS, in place of the socket. Returns error numbers: its caller is C code.

    MicroPython's TLS sockets have no timeout of their own, and one on the socket bounds each read,
    not the whole. This stream answers "nothing yet" at once. Only where C code cannot be
    interrupted does it wait, up to one absolute deadline: a handshake reports why it failed only
    if it runs in one go. What is written is collected until a `flush`, so that a handshake flight
    leaves in one segment instead of three that wait for each other's delayed acknowledgement.
    """

    def __init__(self, sock):
        self.sock = sock
        self.io = self  # the TLS stream on top, once there is one
        self.out = bytearray()
        self.until = None  # the deadline, ticks_ms, while a read may wait
        self.dry = self.over = False  # see `Session.receive`
        self.heard = self.moved = time.ticks_ms()  # last byte received; last byte either way
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
        """Send as much as possible of what was collected: whether that was all. Raises OSError."""
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
                self.flush()  # TLS's close_notify
        except (OSError, MemoryError):
            pass  # already closed; or called by the garbage collector, which cannot allocate
        self.sock.close()

    def sending(self, data, rest=b"", timeout=10000):
        """Send `data`, then `rest`, in TLS records of up to 1 kB: yields (event, ms).

        Raises OSError if no byte moves for `timeout` milliseconds.
        """
        self.moved = time.ticks_ms()
        at = memoryview(rest)
        while True:
            count = self.io.write(data)
            if count is not None and count < 0:  # from this class; TLS would have raised
                raise OSError(-count)
            while True:
                done = self.flush()
                if done and count is not None:
                    break
                # No count: the handshake is still going on.
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
    """Milliseconds left until `until`, ticks_ms. Raises OSError if there are none."""
    ms = time.ticks_diff(until, time.ticks_ms())
    if ms <= 0:
        raise OSError(errno.ETIMEDOUT)
    return ms


def opening(hold, host, port, ms, context=None, split=False):
    """Open a connection within `ms` milliseconds, TLS handshake included: yields (event, ms).

    hold: gets the Wire as its `.sock`, as soon as there is one. host, port: where to; the DNS
    look-up cannot be bounded on stock firmware. context: for TLS; None for plain TCP.
    split: leave the handshake to `Wire.sending`, which yields while it waits; a refused
    certificate then comes without a reason.
    Raises NetworkError, or TlsError if the peer cannot prove that it is `host`.
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
        # Mbed TLS's reason for not trusting the certificate.
        why = " ".join(str(e).split())
        if not time_is_set():
            why += " (the clock was never set: no NTP)"
        raise TlsError("{}: {}".format(host, why))
    except OSError as e:
        raise broken(e, host)


def drive(steps, hold):
    """Run a generator that yields (event, ms), waiting on `hold.sock`."""
    for event, ms in steps:
        hold.sock.wait(event, ms)
