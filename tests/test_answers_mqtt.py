"""Wrong MQTT packets from a server: each gives its error before the deadline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tools.faults.bench import Bench
from tools.faults.impostor import Impostor, Script
from tools.faults.proxy import Fault
from tools.faults.tries import Tries, Try

MQTT_MS = 2000
HUNG_MS = 30_000
"""No host is that slow: a try that takes longer waited somewhere without a deadline."""

OK = b"\x20\x02\x00\x00"
PUBLISH = b"\x30\x0a\x00\x02/tHELLO!"
LONG = b"\x30\xa4\x9c\x01\x00\x02/t" + b"x" * 20_000
FLOOD = b"\x30\xec\x07\x00\x02/t" + b"x" * 1000

# name: (what the board does once connected, what it gets after its CONNECT, the error, part of
# its text, lengths of the messages that arrive)
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
    "a message, then closed": ("wait", Script([(0, OK + PUBLISH)]), "NetworkError", "", [6]),
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
    "a message of 20,000 bytes, then a short one": (
        "wait",
        Script([(0, OK + LONG + PUBLISH)], stay=True),
        None,
        "",
        [6],
    ),
    "PUBACK for another packet first": (
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


def outcomes(bench: Bench, cases: Mapping[str, tuple[str | None, Script]]) -> dict[str, Try]:
    """The result of each script of an MQTT server."""
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
    return outcomes(bench, {name: case[:2] for name, case in MQTT.items()})


@pytest.mark.parametrize("name", MQTT)
def test_each_mqtt_answer_gives_its_error(connected: Mapping[str, Try], name: str) -> None:
    _, _, error, said, messages = MQTT[name]
    tried = connected[name]
    assert (tried.error, tried.text) == (error, tried.text)
    assert said in tried.text
    assert tried.got == messages
    assert tried.waited <= 2 * MQTT_MS + 500
    assert tried.ms < 2 * MQTT_MS + HUNG_MS


def test_a_connection_that_ends_inside_a_packet_is_a_network_error(bench: Bench) -> None:
    tried = outcomes(bench, CUT_PACKETS)
    assert {name: each.error for name, each in tried.items()} == dict.fromkeys(
        CUT_PACKETS, "NetworkError"
    )


def test_no_error_repeats_any_of_the_mqtt_packets(connected: Mapping[str, Try]) -> None:
    said = "\n".join(tried.text for tried in connected.values())
    assert "HELLO" not in said
