"""Packets as they arrive: in pieces, at every boundary of what is read ahead, out of turn, bad."""

from __future__ import annotations

from typing import Any

import pytest
from session_peer import Connection, Handler, OnDevice, Peer, Talk, message, puback

TAKE = """
connect()
while True:
    m = session.wait(3000)
    if m is None: break
    told([m[0].decode(), len(m[1]), m[1] == bytes([n & 255 for n in range(len(m[1]))])])
    if m[0] == b"/end": break
"""
END = message(b"/end", b"")


@pytest.fixture
def talk(on_device: OnDevice) -> Talk:
    return Talk(on_device)


def payload(size: int) -> bytes:
    return bytes(n & 255 for n in range(size))


def sends(*data: bytes, drip: bool = False) -> Handler:
    def serve(c: Connection) -> None:
        c.accept()
        (c.drip if drip else c.send)(b"".join(data))
        c.serve()

    return serve


def receives(talk: Talk, tls: bool, *data: bytes, drip: bool = False, **more: Any) -> list[Any]:
    with Peer([sends(*data, drip=drip)], tls) as peer:
        return talk.run(peer, TAKE, **more)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_messages_of_every_size_around_what_is_read_ahead_arrive_whole(
    talk: Talk, tls: bool
) -> None:
    sizes = [*range(236, 262), *range(120, 131), *range(505, 520), 1024, 8192]
    sent = b"".join(message(b"/" + b"t" * (n % 9), payload(n), n % 2, n) for n in sizes)
    got = receives(talk, tls, sent, END)
    assert [size for _, size, _ in got] == [*sizes, 0]
    assert all(good for *_, good in got)


@pytest.mark.parametrize("length", [1, 119, 120, 121, 127, 128])
def test_long_topics_at_the_boundary(talk: Talk, length: int) -> None:
    topic = b"/" + b"t" * (length - 1)
    sizes = range(256 - length - 8, 256 - length + 4)
    got = receives(talk, False, *(message(topic, payload(n), n % 2, n) for n in sizes), END)
    assert got == [[topic.decode(), n, True] for n in sizes] + [["/end", 0, True]]


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_one_byte_at_a_time(talk: Talk, tls: bool) -> None:
    """A long message too: its topic may arrive after its length."""
    sizes = (0, 1, 100, 300, 700)
    sent = b"".join(message(b"/one/byte", payload(n), n % 2, 7) for n in sizes)
    got = receives(talk, tls, sent, END, drip=True)
    assert [size for _, size, _ in got] == [*sizes, 0]
    assert all(good for *_, good in got)


def test_the_longest_message_that_is_kept(talk: Talk) -> None:
    got = receives(
        talk, False, message(b"/a", payload(8192), 1), message(b"/b", payload(8193), 1, 2), END
    )
    assert got == [["/a", 8192, True], ["/end", 0, True]]


def test_a_message_that_is_too_long_is_acknowledged_and_said(talk: Talk) -> None:
    def serve(c: Connection) -> None:
        c.accept(message(b"/b", payload(9000), 1, 77))
        assert c.until(0x40) == b"\0\x4d"
        c.send(END)
        c.serve()

    with Peer([serve]) as peer:
        assert talk.run(peer, TAKE + "told(lines)") == [
            ["/end", 0, True],
            ["a message was dropped: over 8192 bytes, or too many"],
        ]


BAD = {
    "a message without a topic": b"\x30\x00",
    "a message of one byte": b"\x30\x01\x00",
    "a topic that is longer than the packet": b"\x30\x03\x00\x09x",
    "a packet id that is not there": b"\x32\x04\x00\x02/t",
    "QoS 2": b"\x34\x08\x00\x02/t\x00\x01xy",
    "QoS 3": b"\x36\x08\x00\x02/t\x00\x01xy",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "a second CONNACK": b"\x20\x02\x00\x00",
    "a packet of a server's": b"\x82\x05\x00\x01\x00\x00\x00",
    "a PUBACK without id": b"\x40\x00",
    "a topic longer than what is read ahead": message(b"/" + b"t" * 300, b"x" * 300),
}


@pytest.mark.parametrize("before", [0, 1, 2, 252, 253, 254, 255])
def test_what_is_not_mqtt_ends_the_connection_wherever_it_stands(talk: Talk, before: int) -> None:
    """before: bytes of good packets that come in front of it, in the same read."""
    lead = b""
    while len(lead) < before - 4:
        lead += b"\xd0\0"
    handlers: list[Handler] = []
    for bad in BAD.values():
        good = message(b"", b"x" * (before - len(lead) - 4)) if before > 3 else b""
        handlers.append(sends(lead, good, bad, END * 3))
    source = f"""
for _ in range({len(BAD)}):
    connect()
    session.inbox.clear(); session._pids.clear()
    while True:
        result = outcome(session.wait, 1000)
        if result[0] or result[1] == "None": break
    told(result + [session.sock is None])
"""
    with Peer(handlers) as peer:
        got = talk.run(peer, source)
    for name, result in zip(BAD, got, strict=True):
        assert result[0] == "ProtocolError", (name, result)
        assert result[2], name


def test_a_ping_answer_that_nobody_asked_for_is_no_harm(talk: Talk) -> None:
    assert receives(talk, False, b"\xd0\0" * 300, END) == [["/end", 0, True]]


def test_an_acknowledgement_of_another_message_is_not_this_ones(talk: Talk) -> None:
    def serve(c: Connection) -> None:
        c.accept()
        body = c.until(0x32)
        number = int.from_bytes(body[4:6], "big")
        for other in (number - 1, number + 1, number + 256, number ^ 0x100):
            c.send(puback(other & 0xFFFF))
        c.serve()

    source = "connect()\nsession.timeout = 300\ntold(outcome(session.publish, '/t', b'x', qos=1))"
    with Peer([serve]) as peer:
        assert talk.run(peer, source) == [["NetworkError", "connection: no answer in time"]]


def test_every_message_with_qos_1_is_acknowledged_whichever_way_it_is_taken(talk: Talk) -> None:
    """Several come while an answer is waited for; a callback, `wait` and `take` take them."""

    def serve(c: Connection) -> None:
        c.accept()
        for first in (10, 20, 30):
            body = c.until(0x32)
            c.send(*(message(b"/m", b"%d" % n, 1, n) for n in range(first, first + 3)))
            c.send(puback(int.from_bytes(body[4:6], "big")))
        while len(acks := [body for _, first, body in c.seen if first == 0x40]) < 9:
            c.read()
        c.send(message(b"/acks", repr([int.from_bytes(ack, "big") for ack in acks]).encode()))
        c.serve()

    source = """
connect()
session.publish("/t", b"x", qos=1)
session.set_callback(lambda topic, payload: told(payload.decode()))
session.check_msg()
session.publish("/t", b"x", qos=1)
for _ in range(3): told(session.wait(1000)[1].decode())
session.publish("/t", b"x", qos=1)
while session.inbox: told(session.take()[1].decode())
told(session.wait(2000)[1].decode())
"""
    numbers = [10, 11, 12, 20, 21, 22, 30, 31, 32]
    with Peer([serve]) as peer:
        got = talk.run(peer, source)
    assert got == [*map(str, numbers), str(numbers)]


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_messages_before_the_end_of_the_connection_are_not_lost(talk: Talk, tls: bool) -> None:
    """TLS: close_notify right behind them, in the same read."""

    def serve(c: Connection) -> None:
        c.accept(*(message(b"/m", payload(n)) for n in (5, 300, 5)))
        if tls:
            c.sock.unwrap()  # type: ignore[attr-defined]

    source = """
connect()
for _ in range(4): told(outcome(session.wait, 1000)[0])
told(session.sock is None)
"""
    with Peer([serve], tls) as peer:
        assert talk.run(peer, source) == [None, None, None, "NetworkError", True]


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_reset_behind_messages_is_the_end_and_nothing_worse(talk: Talk, tls: bool) -> None:
    def serve(c: Connection) -> None:
        c.accept(*(message(b"/m", payload(n), 1, n) for n in (5, 300, 5)))
        c.reset()

    source = """
time = __import__("time")
connect()
time.sleep(0.2)
results.extend([[outcome(session.wait, 500)[0]] for _ in range(6)][-1:])
told(outcome(session.wait, 0))
"""
    with Peer([serve], tls) as peer:
        got = talk.run(peer, source)
    assert got == [["NetworkError"], ["NetworkError", "not connected"]]


@pytest.mark.parametrize("first", range(1, 11))
def test_a_connection_cut_inside_a_packet_is_a_connection_that_ended(
    talk: Talk, first: int
) -> None:
    def serve(c: Connection) -> None:
        c.accept(message(b"/t", b"HELLO")[:first])

    source = "connect()\ntold(outcome(session.wait, 1000))"
    with Peer([serve]) as peer:
        expected = ["NetworkError", "connection: closed by the other end"]
        assert talk.run(peer, source) == [expected]


def test_an_inbox_that_is_full_takes_no_more_and_says_so(talk: Talk) -> None:
    """A flood while an acknowledgement is waited for."""

    def serve(c: Connection) -> None:
        c.accept()
        body = c.until(0x32)
        c.send(*(message(b"/m", bytes(1000), 1, n) for n in range(1, 60)))
        c.send(puback(int.from_bytes(body[4:6], "big")))
        c.serve()

    source = """
connect()
session.publish("/t", b"x", qos=1)
count = len(session.inbox)
told(20 < count < 30)
told(len(lines) == 59 - count)
got = 0
while session.wait(100): got += 1
told(got == count)
session.publish("/t", b"x", qos=1)
told("alive")
"""
    with Peer([serve]) as peer:
        assert talk.run(peer, source) == [True, True, True, "alive"]
