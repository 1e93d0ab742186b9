"""How an HTTP answer is read: what is accepted, what is refused, and where reading stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
BODY = '{"code":200}'


def answer(*headers: str, body: str = BODY, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *headers, "", body]).encode()


def read(on_device: OnDevice, data: bytes) -> Any:
    (got,) = on_device("http_answers.py", [data.hex()])
    return got


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(answer("Content-Length: 12"), id="Content-Length"),
        pytest.param(answer("content-length:12"), id="lower case, no space"),
        pytest.param(answer("CONTENT-LENGTH: 12", body=BODY + "more"), id="bytes after the body"),
        pytest.param(answer("Content-Length: 12", "Content-Length: 12"), id="the length twice"),
        pytest.param(
            answer(
                "Transfer-Encoding: chunked",
                body=f"5\r\n{BODY[:5]}\r\n7\r\n{BODY[5:]}\r\n0\r\n\r\n",
            ),
            id="chunked",
        ),
        pytest.param(
            answer(
                "transfer-encoding: Chunked", body=f"00C;x=y\r\n{BODY}\r\n0\r\nTrailer: 1\r\n\r\n"
            ),
            id="chunked with extension and trailer",
        ),
        pytest.param(answer("Connection: close"), id="until the connection ends"),
        pytest.param(answer("Content-Length: 12", "X: " + "y" * 1000), id="a long header line"),
        pytest.param(
            answer(body="", status="HTTP/1.1 100 Continue") + answer("Content-Length: 12"),
            id="an interim answer before it",
        ),
        pytest.param(answer("Content-Length: 12").replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(answer("Content-Length: 12", status="HTTP/1.0 200"), id="HTTP/1.0"),
    ],
)
def test_every_framing_of_an_answer_is_accepted(on_device: OnDevice, data: bytes) -> None:
    assert read(on_device, data) == [200, BODY, None]


def test_status_and_date_are_returned_with_the_body(on_device: OnDevice) -> None:
    data = answer("Date: Mon, 23 Nov 2026 18:00:00 GMT", "Content-Length: 0", body="")
    data = data.replace(b"200 OK", b"503 Busy")
    assert read(on_device, data) == [503, "", "Mon, 23 Nov 2026 18:00:00 GMT"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends inside the header"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "ends inside the header"),
        (b"\x15\x03\x01\x00\x02\x02\x16\r\n", "no status line"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no status line"),
        (b"HTTP/1.1 2xx OK\r\n\r\n", "no status line"),
        (b"HTTP/2 200\r\n\r\n", "no status line"),
        (answer("Content-Length: -1"), "bad length"),
        (answer("Content-Length: +12"), "bad length"),
        (answer("Content-Length: 0x0c"), "bad length"),
        (answer("Content-Length: 1_2"), "bad length"),
        (answer("Content-Length: "), "bad length"),
        (answer("Content-Length: 99999999999999999999"), "bad length"),
        (answer("Content-Length: 12", "Content-Length: 11"), "two lengths"),
        (answer("Content-Length: 2049"), "too long"),
        (answer(body="x" * 2049), "too long"),
        (answer("Transfer-Encoding: gzip"), "unknown transfer encoding"),
        (answer("Transfer-Encoding: chunked", body="zz\r\nabc\r\n"), "bad length"),
        (answer("Transfer-Encoding: chunked", body="-1\r\nabc\r\n"), "bad length"),
        (answer("Transfer-Encoding: chunked", body="801\r\nabc\r\n"), "too long"),
        (answer("Transfer-Encoding: chunked", body="3\r\nabcX\r\n0\r\n\r\n"), "bad chunk"),
        (answer("Location: https://example.com/", status="HTTP/1.1 302 Found"), "redirect"),
        (answer(status="HTTP/1.1 301 Moved"), "redirect"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 800, "too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000, "ends inside the header"),
        (answer(body="", status="HTTP/1.1 102 Wait") * 5, "no final status"),
    ],
)
def test_an_answer_that_breaks_the_rules_is_a_protocol_error(
    on_device: OnDevice, data: bytes, reason: str
) -> None:
    got = read(on_device, data)
    assert got["error"] == "ProtocolError"
    assert reason in got["text"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(answer("Content-Length: 13"), id="Content-Length"),
        pytest.param(answer("Transfer-Encoding: chunked", body=f"d\r\n{BODY}"), id="chunk"),
    ],
)
def test_a_body_cut_short_is_a_network_error(on_device: OnDevice, data: bytes) -> None:
    assert read(on_device, data)["error"] == "NetworkError"
