"""One HTTPS POST, bounded in time and size, sent in one piece, following no redirect."""

from micropython import const

from . import ProtocolError, errno, time
from .wire import Wire, broken, drive, opening

_HEAD = const(4096)  # maximum bytes of status line and headers together
_LINE = const(256)  # bytes kept of a header line
_BODY = const(2048)  # maximum bytes of body; a registration's answer has about 150


def request(host, port, path, body):
    """Build the whole request, header and form body (SPEC "Request message"): bytes.

    host, path, body: str; the body is already encoded, so it is ASCII.
    port: int; one other than 443 is part of the Host header (RFC 9110, 7.2).
    """
    if port != 443:
        host = "{}:{}".format(host, port)
    return (
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: {}\r\n\r\n{}".format(path, host, len(body), body)
    ).encode()


def _bad(what):
    return ProtocolError("HTTP answer: " + what)


def _number(text, base):
    # int() alone would accept "-1", "+1", "0x1" and "1_0". Leading zeros are legal (RFC 9112).
    if not text or len(text.lstrip(b"0")) > 7:
        raise _bad("bad length")
    for char in text.lower():
        if char not in b"0123456789abcdef"[:base]:
            raise _bad("bad length")
    return int(text, base)


def _is_last(part):
    # Reading past the end would wait for the deadline: a peer that has closed TLS may leave the
    # TCP connection open.
    return len(part) < _LINE and not part.endswith(b"\n")


def _line(stream):
    # Only the beginning of a longer line is kept: enough for all headers that matter here.
    line = part = stream.readline(_LINE)
    size = len(line)
    while not part.endswith(b"\n"):
        if _is_last(part) or size > _HEAD:
            raise _bad("it ends inside the header")
        part = stream.readline(_LINE)
        size += len(part)
    return line.strip(), size


def _head(stream):
    """Read status line and headers: status, Content-Length or None, chunked, Date or None."""
    line, size = _line(stream)
    if line[:7] != b"HTTP/1." or len(line) < 12 or not line[9:12].isdigit():
        raise _bad("no status line")
    status = int(line[9:12])
    length = date = None
    chunked = False
    while True:
        line, more = _line(stream)
        size += more
        if size > _HEAD:
            raise _bad("the header is too long")
        if not line:
            return status, length, chunked, date
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip()
        if name == b"content-length":
            number = _number(value, 10)
            if length not in (None, number):
                raise _bad("two lengths")
            length = number
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise _bad("unknown transfer encoding")
            chunked = True
        elif name == b"date":
            date = value


def _chunks(stream):
    body = bytearray()
    while True:
        line, _ = _line(stream)
        size = _number(line.partition(b";")[0].strip(), 16)
        if len(body) + size > _BODY:
            raise _bad("the body is too long")
        if not size:
            return body  # ignore trailers: the connection is closed next
        body.extend(stream.read(size))
        if _line(stream)[0]:
            raise _bad("bad chunk")


def _to_the_end(stream):
    body = bytearray()
    while True:
        part = stream.readline(_LINE)
        body.extend(part)
        if len(body) > _BODY:
            raise _bad("the body is too long")
        if _is_last(part):
            return body


def read_answer(stream):
    """Read one HTTP/1.x answer: (status, body, date); int, bytes-like, bytes or None.

    stream: `read(n)` returns exactly n bytes or raises, `readline(most)` returns b"" at the end.
    Understands Content-Length in any letter case, chunked bodies, and bodies that end with the
    connection (C SDK 2.3 met all three). Raises ProtocolError for anything else.
    """
    for _ in range(5):  # interim answers (1xx) may come before the final one
        status, length, chunked, date = _head(stream)
        if status >= 200:
            break
    else:
        raise _bad("no final status")
    if 300 <= status < 400:
        raise _bad("a redirect: refused")
    if chunked:
        return status, _chunks(stream), date
    if length is None:
        return status, _to_the_end(stream), date
    if length > _BODY:
        raise _bad("the body is too long")
    return status, stream.read(length), date


class _Exchange:
    """The stream for `read_answer`: TLS over a `Wire` that waits until its deadline."""

    sock: "Wire"

    def readline(self, most):
        return self.sock.io.readline(most)

    def read(self, count):
        data = bytearray(count)
        at = memoryview(data)
        while at:
            count = self.sock.io.readinto(at)
            # TLS fills the buffer, unless the peer has closed the connection.
            if count < len(at):
                raise OSError(errno.ECONNRESET)
            at = at[count:]
        return data


def post(host, port, path, body, context, ms):
    """POST `body` (str, form-encoded) within `ms` milliseconds; returns what `read_answer` does.

    Raises NetworkError, TlsError, ProtocolError.
    """
    until = time.ticks_add(time.ticks_ms(), ms)
    exchange = _Exchange()
    try:
        drive(opening(exchange, host, port, ms, context), exchange)
        drive(exchange.sock.sending(request(host, port, path, body), b"", ms), exchange)
        exchange.sock.until = until
        return read_answer(exchange)
    except OSError as e:
        raise broken(e, host)
    finally:
        if hasattr(exchange, "sock"):
            exchange.sock.io.close()
