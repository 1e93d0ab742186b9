"""Wrong HTTPS answers to a board that registers: each gives its error before the deadline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tools.faults.bench import PRODUCT_KEY, Bench
from tools.faults.proxy import Fault
from tools.faults.tries import Tries, Try

MS = 4000
HUNG_MS = 30_000
"""No host is that slow: a try that takes longer waited somewhere without a deadline."""
HEAD = b"HTTP/1.1 200 OK\r\n"
GRANTED = {"deviceName": "{name}", "deviceSecret": "s" * 32, "productKey": PRODUCT_KEY}


def http(body: Any, head: bytes = HEAD, length: bool = True) -> bytes:
    """An answer. body: bytes, or what is sent as JSON; {name} becomes the DeviceName."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head + (b"Content-Length: {length}\r\n" if length else b"") + b"\r\n" + data


def grant(**changes: Any) -> dict[str, Any]:
    """The body of a good answer with changes; None removes a member."""
    data = {name: value for name, value in (GRANTED | changes).items() if value is not None}
    return {"code": 200, "data": data, "message": "success"}


def status(line: str, body: Any = b"<html><body>Sorry</body></html>") -> bytes:
    return http(body, f"HTTP/1.1 {line}\r\n".encode())


def chunked(*chunks: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


TEN_MB = b"x" * 10_000_000
# name: (the answer, the error it gives or None, part of its text)
HTTP: dict[str, tuple[bytes, str | None, str]] = {
    "a good answer": (http(grant()), None, ""),
    "a good answer that ends with the connection": (http(grant(), length=False), None, ""),
    "wrong length, too short": (
        HEAD + b"Content-Length: 20\r\n\r\n" + json.dumps(grant()).encode(),
        "ProtocolError",
        "no result code",
    ),
    "wrong length, too long": (
        HEAD + b"Content-Length: 900\r\n\r\n" + json.dumps(grant()).encode(),
        "NetworkError",
        "closed",
    ),
    "length twice": (
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "ProtocolError",
        "two lengths",
    ),
    "negative length": (HEAD + b"Content-Length: -5\r\n\r\n", "ProtocolError", "bad length"),
    "huge length": (HEAD + b"Content-Length: 9999999\r\n\r\n{}", "ProtocolError", "too long"),
    "absurd length": (HEAD + b"Content-Length: " + b"9" * 40, "ProtocolError", ""),
    "bad chunk size": (chunked(b"zz\r\n{}\r\n"), "ProtocolError", "bad length"),
    "negative chunk size": (chunked(b"-2\r\n{}\r\n"), "ProtocolError", "bad length"),
    "huge chunk size": (chunked(b"fffffff\r\n{}\r\n"), "ProtocolError", "too long"),
    "1xx without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "ProtocolError", "no final"),
    "301": (status("301 Moved Permanently\r\nLocation: https://x/"), "ProtocolError", "redirect"),
    "302": (status("302 Found\r\nLocation: http://localhost/"), "ProtocolError", "redirect"),
    "307": (status("307 Temporary Redirect\r\nLocation: /"), "ProtocolError", "redirect"),
    "400": (status("400 Bad Request"), "ProtocolError", "HTTP status 400"),
    "403": (status("403 Forbidden", b""), "ProtocolError", "HTTP status 403"),
    "404": (status("404 Not Found"), "ProtocolError", "HTTP status 404"),
    "429": (status("429 Too Many Requests"), "BusyError", "HTTP status 429"),
    "500": (status("500 Internal Server Error"), "BusyError", "HTTP status 500"),
    "502": (status("502 Bad Gateway"), "BusyError", "HTTP status 502"),
    "503": (status("503 Service Unavailable", b""), "BusyError", "HTTP status 503"),
    "HTML instead of JSON": (http(b"<html>captive portal</html>"), "ProtocolError", "no result"),
    "nothing at all": (b"", "ProtocolError", "ends inside the header"),
    "not JSON": (http(b"\xff\xfe\x00"), "ProtocolError", "no result code"),
    "a list": (http([1, 2]), "ProtocolError", "no result code"),
    "a number": (http(200), "ProtocolError", "no result code"),
    "null": (http(None), "ProtocolError", "no result code"),
    "deep brackets": (http(b"[" * 2000), "ProtocolError", "no result code"),
    "code as text": (http({"code": "200"}), "ProtocolError", "no result code"),
    "code as a boolean": (http({"code": True}), "ProtocolError", "no result code"),
    "no code": (http({"data": GRANTED}), "ProtocolError", "no result code"),
    "no data": (http({"code": 200}), "ProtocolError", "no data"),
    "data is a list": (http({"code": 200, "data": [GRANTED]}), "ProtocolError", "no data"),
    "data is text": (http({"code": 200, "data": "secret"}), "ProtocolError", "no data"),
    "another device": (http(grant(deviceName="another")), "ProtocolError", "another device"),
    "another product": (http(grant(productKey="a1Another00")), "ProtocolError", "another device"),
    "no device": (http(grant(deviceName=None)), "ProtocolError", "another device"),
    "no secret": (http(grant(deviceSecret=None)), "ProtocolError", "no usable deviceSecret"),
    "an empty secret": (http(grant(deviceSecret="")), "ProtocolError", "no usable"),
    "a secret of 65 characters": (
        http(grant(deviceSecret="s" * 65)),
        "ProtocolError",
        "no usable",
    ),
    "a secret with an umlaut": (
        http(grant(deviceSecret="geheimnüs")),
        "ProtocolError",
        "no usable",
    ),
    "a secret with a space": (http(grant(deviceSecret="a b")), "ProtocolError", "no usable"),
    "a secret that is a number": (http(grant(deviceSecret=12)), "ProtocolError", "no usable"),
    "10 MB with a length": (
        HEAD + b"Content-Length: 10000000\r\n\r\n" + TEN_MB,
        "ProtocolError",
        "bad length",
    ),
    "10 MB in chunks": (
        chunked(*[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 10_000),
        "ProtocolError",
        "too long",
    ),
    "10 MB without an end": (HEAD + b"\r\n" + TEN_MB, "ProtocolError", "too long"),
    "10 MB of header": (HEAD + b"X: y\r\n" * 1_600_000, "ProtocolError", "too long"),
    "an unknown code": (http({"code": 4711, "message": "?"}), "RefusedError", "code 4711"),
    "a huge code": (http({"code": 10**30}), "RefusedError", "code 1000000"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(scope="module")
def registered(bench: Bench) -> Mapping[str, Try]:
    """The result of each HTTP answer. A good one after all of them must still work."""
    with Tries(bench, "https") as tries:
        # The answers contain the DeviceName, so the names must be known in advance.
        start = int(bench.devices(1)[0].removeprefix("case")) + 1
        for number, (answer, _, _) in enumerate(HTTP.values(), start):
            name = f"case{number}".encode()
            body = answer.partition(b"\r\n\r\n")[2].replace(b"{name}", name)
            whole = answer.replace(b"{name}", name)
            bench.platform.faults.raw_http(whole.replace(b"{length}", str(len(body)).encode()))
        names, told, _ = tries.run([[Fault()]] * (len(HTTP) + 1), MS)
        assert names[0] == f"case{start}"
        assert tries.grown < 2000
    assert told[-1][0].error is None
    return {name: tried[0] for name, tried in zip(HTTP, told, strict=False)}


@pytest.mark.parametrize("name", HTTP)
def test_each_http_answer_gives_its_error(registered: Mapping[str, Try], name: str) -> None:
    _, error, said = HTTP[name]
    tried = registered[name]
    assert (tried.error, tried.text) == (error, tried.text)
    assert said in tried.text
    assert (tried.stored is None) == (error is not None)
    assert tried.waited <= MS
    assert tried.ms < MS + HUNG_MS


def test_no_error_repeats_any_of_the_http_answer(registered: Mapping[str, Try]) -> None:
    said = "\n".join(tried.text for tried in registered.values())
    assert "captive" not in said
    assert "sssss" not in said
