"""What is refused before a byte of it is sent, and that the session lives on."""

from __future__ import annotations

from session_peer import Connection, OnDevice, Peer, Talk


def echo(c: Connection) -> None:
    c.accept()
    c.serve()


REFUSED = {
    "payload of 262,145 bytes": ("'/t', bytes(262145)", "ValueError", "payload: at most"),
    "the same as text": ("'/t', 'x' * 262145", "ValueError", "payload: at most"),
    "the same in 131,073 characters": ("'/t', 'é' * 131073", "ValueError", "payload: at most"),
    "a buffer of wider items": ("'/t', array('H', [1, 2, 3])", "TypeError", "buffer of bytes"),
    "one wide item": ("'/t', array('I', [1])", "TypeError", "buffer of bytes"),
    "floats": ("'/t', array('f', [1.0])", "TypeError", "buffer of bytes"),
    "a view of wider items": ("'/t', memoryview(array('H', [1]))", "TypeError", "buffer of bytes"),
    "a number as payload": ("'/t', 7", "TypeError", ""),
    "nothing as payload": ("'/t', None", "TypeError", ""),
    "a dict as payload": ("'/t', {'a': 1}", "TypeError", ""),
    "a list as payload": ("'/t', [1, 2]", "TypeError", ""),
    "empty topic": ("'', b'x'", "ValueError", "topic: expected"),
    "topic of 129 bytes": ("'/' + 't' * 128, b'x'", "ValueError", "topic: expected"),
    "topic of 65 characters of two bytes": ("'é' * 65, b'x'", "ValueError", "topic: expected"),
    "topic of 70,000 bytes": ("'/' + 't' * 70000, b'x'", "ValueError", "topic: expected"),
    "topic of 8 slashes": ("'/a' * 8, b'x'", "ValueError", "topic: expected"),
    "wildcard +": ("'/a/+/b', b'x'", "ValueError", "no wildcards"),
    "wildcard #": ("'/a/#', b'x'", "ValueError", "no wildcards"),
    "NUL": ("'/a\\0b', b'x'", "ValueError", "topic: expected"),
    "not UTF-8": ("b'/\\xff\\xfe', b'x'", "ValueError", "topic: expected"),
    "cut in a character": ("'/é'.encode()[:2], b'x'", "ValueError", "topic: expected"),
    "a number as topic": ("7, b'x'", "ValueError", "topic: expected"),
    "nothing as topic": ("None, b'x'", "TypeError", ""),
    "QoS 2": ("'/t', b'x', False, 2", "ValueError", "qos: expected 0 or 1"),
    "QoS -1": ("'/t', b'x', False, -1", "ValueError", "qos: expected 0 or 1"),
    "QoS as text": ("'/t', b'x', False, '1'", "ValueError", "qos: expected 0 or 1"),
    "QoS 0.5": ("'/t', b'x', False, 0.5", "ValueError", "qos: expected 0 or 1"),
    "QoS None": ("'/t', b'x', False, None", "ValueError", "qos: expected 0 or 1"),
}
GOOD = {
    "128 bytes and 7 slashes": "'/a/b/c/d/e/f/' + 't' * 114, b'x'",
    "text": "'/é', 'é'",
    "bytearray": "bytearray(b'/t'), bytearray(b'x')",
    "memoryview": "memoryview(b'/t'), memoryview(b'xyz')[1:]",
    "array of bytes": "'/t', array('B', [1, 2])",
    "signed bytes": "'/t', array('b', [-1, 2])",
    "nothing": "'/t', b''",
    "an answer to a remote call": "'/ext/rrpc/' + '1' * 20 + '/a/b/c/d/e/f/' + 't' * 120, b'x'",
    "True as QoS": "'/t', b'x', False, True",
}


def test_what_cannot_be_sent_is_refused_and_the_session_goes_on(on_device: OnDevice) -> None:
    source = "from array import array\nconnect()\n"
    for arguments, *_ in REFUSED.values():
        rest = "" if arguments.count(", ") > 2 and "False" in arguments else ", qos=1"
        source += f"told(outcome(lambda: session.publish({arguments}{rest})))\n"
        source += "told([session.unacked, session.sock is None])\n"
    source += "session.publish('/last', b'x', qos=1)\n"
    with Peer([echo]) as peer:
        got = Talk(on_device).run(peer, source, heap="8M")
    for (name, (_, kind, text)), result, state in zip(
        REFUSED.items(), got[::2], got[1::2], strict=True
    ):
        assert result[0] == kind, (name, result)
        assert text in result[1], (name, result)
        assert state == [None, False], (name, state)
    sent = [body for _, first, body in peer.connections[0].seen if first & 0xF0 == 0x30]
    assert sent == [b"\0\5/last\0\1x"]  # nothing of the others has left


def test_what_can_be_sent_is(on_device: OnDevice) -> None:
    source = "from array import array\nconnect()\n"
    for arguments in GOOD.values():
        source += f"told(outcome(lambda: session.publish({arguments})))\n"
    with Peer([echo]) as peer:
        got = Talk(on_device).run(peer, source)
    assert got == [[None, "None"]] * len(GOOD), list(zip(GOOD, got, strict=True))


def test_topics_to_subscribe_to_are_checked_and_may_have_wildcards(on_device: OnDevice) -> None:
    source = """
connect()
for topic in ("", "/" + "t" * 128, b"/\\xff", "/a\\0", "/a" * 8, None):
    told(outcome(session.subscribe, topic)[0])
told(outcome(session.subscribe, "/a/+/#"))
"""
    with Peer([echo]) as peer:
        got = Talk(on_device).run(peer, source)
    assert got == ["ValueError"] * 5 + ["TypeError", [None, "None"]]


def test_a_payload_that_the_application_changes_meanwhile_is_sent_again_as_it_was(
    on_device: OnDevice,
) -> None:
    """A buffer that is filled anew after the exception must not change what is sent again."""

    def lose(c: Connection) -> None:
        c.accept()
        c.until(0x32)

    source = """
buffer = bytearray(b"first")
connect()
told(outcome(session.publish, "/t", buffer, qos=1)[0])
buffer[:] = b"other"
connect()
"""
    with Peer([lose, echo]) as peer:
        assert Talk(on_device).run(peer, source) == ["NetworkError"]
    sent = [body for _, first, body in peer.connections[1].seen if first == 0x32]
    assert sent[0].endswith(b"first")


def test_a_message_that_fails_three_times_is_given_up_and_said(on_device: OnDevice) -> None:
    def lose(c: Connection) -> None:
        c.accept()
        c.until(0x32)

    source = """
connect()
told(outcome(session.publish, "/t", b"poison", qos=1)[0])
told(outcome(connect)[0])
told(session.given_up)
told(outcome(connect)[0])
told([part.decode() for part in session.given_up])
told(session.unacked)
connect()
session.publish("/t", b"good", qos=1)
told(lines)
"""
    with Peer([lose, lose, lose, echo]) as peer:
        assert Talk(on_device).run(peer, source) == [
            "NetworkError",
            "NetworkError",
            None,
            "NetworkError",
            ["/t", "poison"],
            None,
            ["a QoS 1 message is given up after three tries"],
        ]
    sent = [body for _, first, body in peer.connections[3].seen if first == 0x32]
    assert [body[-4:] for body in sent] == [b"good"]


def test_a_message_that_gets_through_at_the_third_try_is_not_given_up(
    on_device: OnDevice,
) -> None:
    def lose(c: Connection) -> None:
        c.accept()
        c.until(0x32)

    source = """
connect()
for call in (lambda: session.publish("/t", b"x", qos=1), connect, connect): told(outcome(call)[0])
told([session.given_up, session.unacked])
"""
    with Peer([lose, lose, echo]) as peer:
        got = Talk(on_device).run(peer, source)
    assert got == ["NetworkError", "NetworkError", None, [None, None]]
