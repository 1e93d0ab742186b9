"""TCP and TLS on which every wait has a deadline, handshake included.

MicroPython's TLS sockets have no timeout of their own, and one on the raw socket bounds each
read, not the whole: a peer that drips bytes holds the board for ever. So TLS is given `_Wire`
in the socket's place: it never blocks past one absolute deadline. It also collects what is
written until an answer is needed: a handshake flight leaves in one segment instead of three
that wait for each other's delayed acknowledgement.
"""

import errno
import io
import select
import socket
import time

from micropython import const

from .errors import NetworkError, TlsError

_STREAM_CLOSE = const(4)  # MicroPython's stream protocol: MP_STREAM_CLOSE
_OUT = const(512)  # write out early when this much has been collected


class _Wire(io.IOBase):
    """The stream below TLS. Answers by value, never by exception: C code is the caller."""

    def __init__(self, sock):
        self.sock = sock
        self.until = time.ticks_ms()  # when waiting ends
        self.patient = True  # False: report "nothing yet" at the deadline, instead of a timeout
        self.heard = time.ticks_ms()  # when the last byte came
        self.out = bytearray()
        self.poll = select.poll()
        self.poll.register(sock, select.POLLIN)

    def _wait(self, event):
        left = time.ticks_diff(self.until, time.ticks_ms())
        if left <= 0:
            return False
        self.poll.modify(self.sock, event)
        self.poll.poll(left)
        return True

    def readinto(self, buf):
        try:
            if self.out and not self.flush():
                return -errno.ETIMEDOUT
            while True:
                count = self.sock.readinto(buf)
                if count is not None:
                    self.heard = time.ticks_ms()
                    return count
                if not self._wait(select.POLLIN):
                    return -errno.ETIMEDOUT if self.patient else None
        except OSError as e:
            return -e.args[0]

    def write(self, buf):
        self.out.extend(buf)
        try:
            if len(self.out) > _OUT and not self.flush():
                return -errno.ETIMEDOUT
        except OSError as e:
            return -e.args[0]
        return len(buf)

    def flush(self):
        at = memoryview(self.out)
        self.out = bytearray()
        while at:
            count = self.sock.write(at)
            if count:
                at = at[count:]
            elif not self._wait(select.POLLOUT):
                return False
        return True

    def ioctl(self, request, arg):
        if request == _STREAM_CLOSE:
            self.sock.close()
        return 0


class Stream:
    """A connection to `host`:`port`, over TLS when `context` is given, plain TCP when not.

    ms: the time, in milliseconds, for name, connection and handshake together, save that the
        name look-up itself cannot be bounded on stock firmware.
    Raises NetworkError, or TlsError when the other end does not prove to be `host`.

    It also is the socket `umqtt.simple` works on: `read` gives exactly what was asked for,
    `write` collects small pieces into one TLS record until `flush` or the next `read`. All
    methods but `close` raise OSError when the connection ends or the armed time is over:
    `broken` turns that into the package's own.
    """

    limit = 8192  # longest message kept, bytes; a longer one is read off and dropped

    def __init__(self, host, port, ms, context=None):
        self.sent = time.ticks_ms()  # when something was sent last
        self.dropped = False  # a read longer than `limit` was skipped
        self._out = bytearray()
        self._peeked = b""
        until = time.ticks_add(self.sent, ms)
        try:
            address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
        except (OSError, IndexError):
            raise NetworkError("no address found for " + host)
        sock = socket.socket()
        try:
            sock.settimeout(max(1, time.ticks_diff(until, time.ticks_ms())) / 1000)
            sock.connect(address)
            sock.setblocking(False)
            self._io = self.wire = _Wire(sock)
            self.wire.until = until
            if context:
                self._io = context.wrap_socket(self.wire, server_hostname=host)
        except ValueError as e:
            # Mbed TLS says here why it does not trust the certificate.
            sock.close()
            raise TlsError("{}: {}".format(host, " ".join(str(e).split())))
        except OSError as e:
            sock.close()
            raise broken(e, host)

    def arm(self, ms, patient=True):
        """Let the reads and writes that follow take `ms` milliseconds in all."""
        self.wire.until = time.ticks_add(time.ticks_ms(), ms)
        self.wire.patient = patient

    def write(self, data, size=None):
        """Collect `data`, or its first `size` bytes; `flush` or `read` sends it."""
        self._out.extend(data if size is None else memoryview(data)[:size])

    def flush(self):
        """Send what `write` collected: one TLS record, one segment where it fits."""
        if self._out:
            out = self._out
            self._out = bytearray()
            self.sent = time.ticks_ms()
            count = self._io.write(out)
            if count < 0:  # from the wire itself: TLS would have raised
                raise OSError(-count)
            if not self.wire.flush():
                raise OSError(errno.ETIMEDOUT)

    def _some(self, buf):
        """Read into `buf` what is there, at least a byte: the count, None for nothing yet."""
        self.flush()
        count = self._io.readinto(buf)
        # TLS fills the buffer or has ended; asked once more, it would wait for TCP to end as well.
        if count == 0 or (count and self._io is not self.wire and count < len(buf)):
            raise OSError(errno.ECONNRESET)
        if count and count < 0:  # as in `flush`
            raise OSError(-count)
        return count

    def read(self, count):
        """Read exactly `count` bytes.

        More than `limit` of them are read off and dropped: then b"" is returned and `dropped`
        set. Raises ValueError for a count below zero: lengths in a packet contradict each other.
        """
        if count < 0:
            raise ValueError
        if count > self.limit:
            self.dropped = True
            while count:
                count -= len(self.read(min(count, 256)))
            return b""
        data = self._peeked
        if count > len(data):
            buf = bytearray(count - len(data))
            at = memoryview(buf)
            while at:
                count = self._some(at)
                if count is None:  # a wait just before has left the wire impatient
                    raise OSError(errno.ETIMEDOUT)
                at = at[count:]
            data += buf
        self._peeked = b""
        return data

    def readline(self, most):
        """Read up to and including the next line feed, `most` bytes at the most: bytes.

        Over TLS only. Shorter and without a line feed when the connection has ended.
        """
        self.flush()
        return self._io.readline(most)

    def wait(self, ms):
        """Wait up to `ms` milliseconds for something to read: bool."""
        if not self._peeked:
            self.arm(ms, False)
            byte = bytearray(1)
            if self._some(byte):
                self._peeked = bytes(byte)
        return bool(self._peeked)

    def setblocking(self, flag):
        """Part of the socket that umqtt.simple expects; deadlines replace it."""

    def close(self):
        """Let go of the connection. Never raises: there is nothing a caller could do."""
        try:
            if self._io is not self.wire:
                self._io.close()  # frees what Mbed TLS holds outside the Python heap
            self.wire.sock.close()
        except OSError:
            pass


def broken(e, where="connection"):
    """The NetworkError for an OSError of a connection, to be raised by the caller."""
    code = e.args[0]
    if code == errno.ETIMEDOUT:
        why = "no answer in time"
    elif code == errno.ECONNRESET:
        why = "closed by the other end"
    else:  # Mbed TLS gives (number, name)
        why = e.args[1] if len(e.args) > 1 else errno.errorcode.get(code, code)
    return NetworkError("{}: {}".format(where, why))
