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

from .errors import NetworkError, ProtocolError, TlsError

_STREAM_CLOSE = const(4)  # MicroPython's stream protocol: MP_STREAM_CLOSE
_OUT = const(512)  # write out early when this much has been collected


class _Wire(io.IOBase):
    """The stream below TLS. Answers by value, never by exception: C code is the caller."""

    def __init__(self, sock):
        self.sock = sock
        self.until = 0  # ticks_ms at which waiting ends
        self.patient = True  # False: report "nothing yet" at the deadline, instead of a timeout
        self.heard = 0  # ticks_ms at which the last byte came
        self._out = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def arm(self, ms, patient=True):
        self.until = time.ticks_add(time.ticks_ms(), ms)
        self.patient = patient

    def _wait(self, event):
        left = time.ticks_diff(self.until, time.ticks_ms())
        if left <= 0:
            return False
        self._poll.modify(self.sock, event)
        self._poll.poll(left)
        return True

    def readinto(self, buf):
        try:
            if self._out and not self.flush():
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
        self._out.extend(buf)
        try:
            if len(self._out) > _OUT and not self.flush():
                return -errno.ETIMEDOUT
        except OSError as e:
            return -e.args[0]
        return len(buf)

    def flush(self):
        out = self._out
        self._out = bytearray()
        at = memoryview(out)
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
    `write` collects small pieces into one TLS record until `flush` or the next `read`.
    """

    limit = 8192  # longest message kept, bytes; a longer one is read off and dropped

    def __init__(self, host, port, ms, context=None):
        self.sent = 0  # ticks_ms at which something was sent
        self.dropped = False  # a read longer than `limit` was skipped
        self._out = bytearray()
        self._peeked = b""
        until = time.ticks_add(time.ticks_ms(), ms)
        try:
            address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
        except (OSError, IndexError):
            raise NetworkError("no address found for " + host)
        sock = socket.socket()
        try:
            sock.settimeout(max(1, time.ticks_diff(until, time.ticks_ms())) / 1000)
            sock.connect(address)
            sock.setblocking(False)
            self._wire = self._io = _Wire(sock)
            self._wire.until = until
            if context:
                self._io = context.wrap_socket(self._wire, server_hostname=host)
        except ValueError as e:
            # Mbed TLS says here why it does not trust the certificate.
            sock.close()
            raise TlsError("{}: {}".format(host, " ".join(str(e).split())))
        except OSError as e:
            sock.close()
            raise NetworkError("{}:{}: {}".format(host, port, _reason(e)))

    def arm(self, ms):
        """Let the reads and writes that follow take `ms` milliseconds in all."""
        self._wire.arm(ms)

    def heard(self):
        """ticks_ms at which the last byte came in."""
        return self._wire.heard

    def write(self, data, size=None):
        """Collect `data`, or its first `size` bytes; `flush` or `read` sends it."""
        self._out.extend(data if size is None else memoryview(data)[:size])

    def flush(self):
        """Send what `write` collected: one TLS record, one segment where it fits."""
        if self._out:
            out = self._out
            self._out = bytearray()
            self.sent = time.ticks_ms()
            try:
                self._io.write(out)
                if not self._wire.flush():
                    raise OSError(errno.ETIMEDOUT)
            except OSError as e:
                raise NetworkError("sending: " + _reason(e))

    def read(self, count):
        """Read exactly `count` bytes.

        More than `limit` of them are read off and dropped: then b"" is returned and `dropped`
        set. Raises NetworkError when the connection ends or the armed time is over.
        """
        self.flush()
        if count < 0:
            raise ProtocolError("a length in a packet contradicts the packet's own")
        if count > self.limit:
            self.dropped = True
            while count > 256:
                self.read(256)
                count -= 256
            self.read(count)
            return b""
        data = self._peeked
        self._peeked = b""
        if count > len(data):
            data += self._exactly(count - len(data))
        return data

    def _exactly(self, count):
        buf = bytearray(count)
        at = memoryview(buf)
        while at:
            try:
                got = self._io.readinto(at)
            except OSError as e:
                raise NetworkError("receiving: " + _reason(e))
            if got is not None and got < 0:
                raise NetworkError("receiving: " + _reason(OSError(-got)))
            if not got:
                raise NetworkError("the other end closed the connection")
            at = at[got:]
        return bytes(buf)

    def readline(self, most):
        """Read up to and including the next line feed, `most` bytes at the most: bytes.

        Over TLS only. Shorter and without a line feed when the connection has ended.
        """
        self.flush()
        try:
            return self._io.readline(most)
        except OSError as e:
            raise NetworkError("receiving: " + _reason(e))

    def wait(self, ms):
        """Wait up to `ms` milliseconds for something to read: bool. Raises NetworkError."""
        self.flush()
        if self._peeked:
            return True
        self._wire.arm(ms, False)
        byte = bytearray(1)
        try:
            got = self._io.readinto(byte)
        except OSError as e:
            raise NetworkError("receiving: " + _reason(e))
        if got is None:
            return False
        if got < 1:
            raise NetworkError("the other end closed the connection")
        self._peeked = bytes(byte)
        return True

    def setblocking(self, flag):
        """Part of the socket that umqtt.simple expects; deadlines replace it."""

    def close(self):
        """Let go of the connection. Never raises: there is nothing a caller could do."""
        try:
            if self._io is not self._wire:
                self._io.close()  # frees what Mbed TLS holds outside the Python heap
            self._wire.sock.close()
        except OSError:
            pass


def _reason(e):
    code = e.args[0]
    if code == errno.ETIMEDOUT:
        return "no answer in time"
    # Mbed TLS gives (number, name).
    return str(e.args[1] if len(e.args) > 1 else errno.errorcode.get(code, code))
