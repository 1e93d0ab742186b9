"""What a platform that lost its mind may answer, over HTTPS and MQTT, to a board that asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tools.faults.bench import PRODUCT_KEY, Bench
from tools.faults.impostor import Impostor, Script
from tools.faults.proxy import Fault
from tools.faults.tries import Tries, Try

MS = 4000
MQTT_MS = 2000
HUNG_MS = 30_000
"""No host is that late: such a try waited where nothing counts it, without a deadline."""
HEAD = b"HTTP/1.1 200 OK\r\n"
GRANTED = {"deviceName": "{name}", "deviceSecret": "s" * 32, "productKey": PRODUCT_KEY}


def http(body: Any, head: bytes = HEAD, length: bool = True) -> bytes:
    """An answer. body: bytes, or what is sent as JSON; {name} becomes the device's own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head + (b"Content-Length: {length}\r\n" if length else b"") + b"\r\n" + data


def grant(**changes: Any) -> dict[str, Any]:
    """The body of a good answer, changed; None takes a member out."""
    data = {name: value for name, value in (GRANTED | changes).items() if value is not None}
    return {"code": 200, "data": data, "message": "success"}


def status(line: str, body: Any = b"<html><body>Sorry</body></html>") -> bytes:
    return http(body, f"HTTP/1.1 {line}\r\n".encode())


def chunked(*chunks: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


TEN_MB = b"x" * 10_000_000
# name: (the answer, the error it gives or None, part of what is said)
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
    "1xx and no end of it": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "ProtocolError", "no final"),
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
    "HTML in place of JSON": (http(b"<html>captive portal</html>"), "ProtocolError", "no result"),
    "nothing at all": (b"", "ProtocolError", "ends inside the header"),
    "no JSON": (http(b"\xff\xfe\x00"), "ProtocolError", "no result code"),
    "a list": (http([1, 2]), "ProtocolError", "no result code"),
    "a number": (http(200), "ProtocolError", "no result code"),
    "null": (http(None), "ProtocolError", "no result code"),
    "deep brackets": (http(b"[" * 2000), "ProtocolError", "no result code"),
    "code as text": (http({"code": "200"}), "ProtocolError", "no result code"),
    "code as truth": (http({"code": True}), "ProtocolError", "no result code"),
    "no code": (http({"data": GRANTED}), "ProtocolError", "no result code"),
    "no data": (http({"code": 200}), "ProtocolError", "no data"),
    "data is a list": (http({"code": 200, "data": [GRANTED]}), "ProtocolError", "no data"),
    "data is text": (http({"code": 200, "data": "secret"}), "ProtocolError", "no data"),
    "another device": (http(grant(deviceName="another")), "ProtocolError", "another device"),
    "another product": (http(grant(productKey="a1Another00")), "ProtocolError", "another device"),
    "no device": (http(grant(deviceName=None)), "ProtocolError", "another device"),
    "no secret": (http(grant(deviceSecret=None)), "ProtocolError", "no usable deviceSecret"),
    "an empty secret": (http(grant(deviceSecret="")), "ProtocolError", "no usable"),
    "a secret of 65": (http(grant(deviceSecret="s" * 65)), "ProtocolError", "no usable"),
    "a secret with umlauts": (http(grant(deviceSecret="geheimnüs")), "ProtocolError", "no usable"),
    "a secret with a space": (http(grant(deviceSecret="a b")), "ProtocolError", "no usable"),
    "a secret that is a number": (http(grant(deviceSecret=12)), "ProtocolError", "no usable"),
    "10 MB with their length": (
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
    "a code nobody knows": (http({"code": 4711, "message": "?"}), "RefusedError", "code 4711"),
    "a huge code": (http({"code": 10**30}), "RefusedError", "code 1000000"),
}

OK = b"\x20\x02\x00\x00"
PUBLISH = b"\x30\x0a\x00\x02/tHELLO!"
LONG = b"\x30\xa4\x9c\x01\x00\x02/t" + b"x" * 20_000
FLOOD = b"\x30\xec\x07\x00\x02/t" + b"x" * 1000
# name: (what the board does when connected, what it gets after its CONNECT, error, said, messages)
Mqtt = tuple[str | None, Script, str | None, str, list[int]]
MQTT: dict[str, Mqtt] = {
    "CONNACK 0": (None, Script([(0, OK)], stay=True), None, "", []),
    "CONNACK 1": (None, Script([(0, b"\x20\x02\x00\x01")]), "Fatal", "CONNACK 1", []),
    "CONNACK 2": (None, Script([(0, b"\x20\x02\x00\x02")]), "Fatal", "CONNACK 2", []),
    "CONNACK 3": (None, Script([(0, b"\x20\x02\x00\x03")]), "BusyError", "CONNACK 3", []),
    "CONNACK 4": (None, Script([(0, b"\x20\x02\x00\x04")]), "RefusedError", "CONNACK 4", []),
    "CONNACK 5": (None, Script([(0, b"\x20\x02\x00\x05")]), "RefusedError", "CONNACK 5", []),
    "CONNACK 255": (None, Script([(0, b"\x20\x02\x00\xff")]), "Fatal", "CONNACK 255", []),
    "no CONNACK, closed": (None, Script([]), "NetworkError", "closed", []),
    "no CONNACK, open": (None, Script([], stay=True), "NetworkError", "no answer in time", []),
    "a short CONNACK": (None, Script([(0, OK[:3])]), "NetworkError", "closed", []),
    "a CONNACK in pieces": (
        None,
        Script([(0.05, OK[at : at + 1]) for at in range(4)], stay=True),
        None,
        "",
        [],
    ),
    "a late CONNACK": (None, Script([(0.3, OK)], stay=True), None, "", []),
    "a CONNACK too late": (None, Script([(4, OK)], stay=True), "NetworkError", "in time", []),
    "a CONNACK of 3": (None, Script([(0, b"\x20\x03\x00\x00\x00")]), "ProtocolError", "", []),
    "a PUBLISH first": (None, Script([(0, PUBLISH + OK)]), "ProtocolError", "not a CONNACK", []),
    "HTTP": (None, Script([(0, b"HTTP/1.1 400 Bad\r\n\r\n")]), "ProtocolError", "CONNACK", []),
    "a message": ("wait", Script([(0, OK + PUBLISH)], stay=True), None, "", [6]),
    "a message, and the end": ("wait", Script([(0, OK + PUBLISH)]), "NetworkError", "", [6]),
    "PINGRESP unasked": ("wait", Script([(0, OK + b"\xd0\0")], stay=True), None, "", []),
    "PUBACK unasked": (
        "wait",
        Script([(0, OK + b"\x40\x02\x00\x07" + PUBLISH)], stay=True),
        None,
        "",
        [6],
    ),
    "SUBACK unasked": (
        "wait",
        Script([(0, OK + b"\x90\x03\x00\x07\x00" + PUBLISH)], stay=True),
        None,
        "",
        [6],
    ),
    "a second CONNACK": ("wait", Script([(0, OK + OK)], stay=True), "ProtocolError", "", []),
    "a CONNECT": ("wait", Script([(0, OK + b"\x10\x00")]), "ProtocolError", "nobody", []),
    "PUBREC": ("wait", Script([(0, OK + b"\x50\x02\0\1")]), "ProtocolError", "", []),
    "type 15": ("wait", Script([(0, OK + b"\xf0\x00")]), "ProtocolError", "", []),
    "type 0": ("wait", Script([(0, OK + b"\x00\x00")]), "ProtocolError", "", []),
    "QoS 2": (
        "wait",
        Script([(0, OK + b"\x34\x0c\x00\x02/t\x00\x01HELLO!")], stay=True),
        "ProtocolError",
        "",
        [],
    ),
    "a length of five bytes": (
        "wait",
        Script([(0, OK + b"\x30\xff\xff\xff\xff\x7f")]),
        "ProtocolError",
        "four bytes",
        [],
    ),
    "a length of 256 MB": (
        "linger",
        Script([(0, OK + b"\x30\xff\xff\xff\x7f\x00\x02/tx")], stay=True),
        "NetworkError",
        "in time",
        [],
    ),
    "a topic longer than its packet": (
        "wait",
        Script([(0, OK + b"\x30\x04\x00\x08/topicxx")], stay=True),
        "ProtocolError",
        "",
        [],
    ),
    "a message of 20,000 bytes, and a short one": (
        "wait",
        Script([(0, OK + LONG + PUBLISH)], stay=True),
        None,
        "",
        [6],
    ),
    "PUBACK for another": (
        "publish",
        Script([(0, OK), (0.1, b"\x40\x02\x00\x09\x40\x02\x00\x01")], stay=True),
        None,
        "",
        [],
    ),
    "no PUBACK": ("publish", Script([(0, OK)], stay=True), "NetworkError", "in time", []),
    "a flood of messages, then PUBACK": (
        "publish",
        Script([(0, OK), (0.1, FLOOD * 2500 + b"\x40\x02\x00\x01")], stay=True),
        None,
        "",
        [],
    ),
    "PUBACK of 3": (
        "publish",
        Script([(0, OK), (0.1, b"\x40\x03\x00\x01\x00")], stay=True),
        "ProtocolError",
        "",
        [],
    ),
    "SUBACK refused": (
        "subscribe",
        Script([(0, OK), (0.1, b"\x90\x03\x00\x01\x80")], stay=True),
        "RefusedError",
        "not its own topic",
        [],
    ),
    "SUBACK of nothing": (
        "subscribe",
        Script([(0, OK), (0.1, b"\x90\x02\x00\x01")], stay=True),
        "ProtocolError",
        "",
        [],
    ),
}
CUT_PACKETS = {
    f"a {name} cut after {size} bytes": (then, Script([(0, OK + data[:size])]))
    for name, then, data in (
        ("PUBLISH", "wait", b"\x32\x0c\x00\x02/t\x00\x01HELLO!"),
        ("SUBACK", "subscribe", b"\x90\x03\x00\x01\x00"),
        ("PUBACK", "publish", b"\x40\x02\x00\x01"),
        ("PINGRESP", "wait", b"\xd0\x00"),
    )
    for size in range(len(data))
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(scope="module")
def registered(bench: Bench) -> Mapping[str, Try]:
    """What each HTTP answer came to, and what a good one did after all of them."""
    with Tries(bench, "https") as tries:
        # The answers name their device, so the devices must be known before.
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


def talked(bench: Bench, cases: Mapping[str, tuple[str | None, Script]]) -> dict[str, Try]:
    """What each script of an MQTT server came to."""
    results = {}
    for then in {case[0] for case in cases.values()}:
        some = {name: script for name, (doing, script) in cases.items() if doing == then}
        with Impostor() as impostor, Tries(bench, "connect", impostor.port) as tries:
            impostor.plan.extend([*some.values(), Script([(0, OK)], stay=True)])
            plans = [[Fault()]] * (len(some) + (then is None))
            _, told, _ = tries.run(plans, MQTT_MS, then=then)
            assert then is not None or told[-1][0].error is None
            assert tries.grown < 2000
        results.update({name: tried[0] for name, tried in zip(some, told, strict=False)})
    return results


@pytest.fixture(scope="module")
def connected(bench: Bench) -> Mapping[str, Try]:
    return talked(bench, {name: case[:2] for name, case in MQTT.items()})


@pytest.mark.parametrize("name", HTTP)
def test_an_http_answer(registered: Mapping[str, Try], name: str) -> None:
    _, error, said = HTTP[name]
    tried = registered[name]
    assert (tried.error, tried.text) == (error, tried.text)
    assert said in tried.text
    assert (tried.stored is None) == (error is not None)
    assert tried.waited <= MS
    assert tried.ms < MS + HUNG_MS


@pytest.mark.parametrize("name", MQTT)
def test_an_mqtt_server(connected: Mapping[str, Try], name: str) -> None:
    _, _, error, said, messages = MQTT[name]
    tried = connected[name]
    assert (tried.error, tried.text) == (error, tried.text)
    assert said in tried.text
    assert tried.got == messages
    assert tried.waited <= 2 * MQTT_MS + 500
    assert tried.ms < 2 * MQTT_MS + HUNG_MS


def test_a_connection_that_ends_inside_any_packet_is_a_network_error(bench: Bench) -> None:
    tried = talked(bench, CUT_PACKETS)
    assert {name: each.error for name, each in tried.items()} == dict.fromkeys(
        CUT_PACKETS, "NetworkError"
    )


def test_no_answer_is_ever_repeated_in_what_the_board_says(
    registered: Mapping[str, Try], connected: Mapping[str, Try]
) -> None:
    said = "\n".join(tried.text for tried in (*registered.values(), *connected.values()))
    assert "captive" not in said
    assert "sssss" not in said
    assert "HELLO" not in said
