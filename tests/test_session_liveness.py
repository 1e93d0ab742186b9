"""A connection that lives is never given up; one that is dead either way is, in time."""

from __future__ import annotations

import threading
import time

import pytest
from session_peer import Connection, OnDevice, Peer, Talk, message

TOLD = """
def loop(step, seconds):
    import time
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < seconds * 1000:
        result = outcome(step)
        if result[0]:
            told(result)
            return time.ticks_diff(time.ticks_ms(), began)
    told("alive")
def publish(): session.publish("/t", b"x")
connect()
import time
"""
DEAD = ["NetworkError", "connection: no answer in time"]


@pytest.fixture
def talk(on_device: OnDevice) -> Talk:
    return Talk(on_device)


class Strict:
    """A platform that closes after `seconds` without a packet, as the real one does."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, c: Connection) -> None:
        c.accept()
        c.sock.settimeout(self._seconds)
        c.serve()


STEPS = {
    "wait(0)": "session.wait(0)",
    "wait(200)": "session.wait(200)",
    "check_msg": "session.check_msg()",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_loop_that_comes_by_once_in_an_interval_keeps_the_connection(
    talk: Talk, step: str
) -> None:
    """Once in `keepalive`, where the platform waits for one and a half; the answers lie unread."""
    source = TOLD + f"loop(lambda: ({STEPS[step]}, time.sleep_ms(1000)), 4)"
    with Peer([Strict(1.5)]) as peer:
        assert talk.run(peer, source, keepalive=1, timeout=300) == ["alive"]


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_lies_unread_past_its_deadline_counts(talk: Talk, step: str) -> None:
    source = TOLD + f"loop(lambda: ({STEPS[step]}, time.sleep_ms(500)), 4)"
    with Peer([Strict(1.5)]) as peer:
        assert talk.run(peer, source, keepalive=1, timeout=100) == ["alive"]


def test_messages_that_nobody_takes_do_not_stop_the_pings(talk: Talk) -> None:
    """`check_msg` without a callback: what the platform says by itself stays in the inbox."""

    def serve(c: Connection) -> None:
        c.accept(message(b"/m", b"hello"))
        c.sock.settimeout(1.5)
        c.serve()

    source = TOLD + "loop(lambda: (session.check_msg(), time.sleep_ms(100)), 3)"
    source += "\ntold(session.wait(0)[1].decode())"
    with Peer([serve]) as peer:
        assert talk.run(peer, source, keepalive=1) == ["alive", "hello"]


def silent(c: Connection) -> None:
    """Takes everything and answers nothing: the way down is dead."""
    c.accept()
    c.rest()


def babbling(c: Connection) -> None:
    """Says something all the time and hears nothing: the way up is dead."""
    c.accept()
    while True:
        c.send(message(b"/m", b"x" * 20))
        time.sleep(0.05)


APPLICATIONS = {
    "silent": "session.wait(100)",
    "QoS 0": "(publish(), session.wait(20))",
    "QoS 0 and check_msg": "(publish(), session.check_msg(), time.sleep_ms(20))",
    "QoS 1": "(session.publish('/t', b'x', qos=1), session.wait(20))",
    "flooded": "session.wait(0)",
}


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("way", ["down", "up"])
def test_a_dead_way_is_noticed_within_an_interval_and_the_timeout(
    talk: Talk, way: str, application: str
) -> None:
    source = TOLD + f"told(loop(lambda: {APPLICATIONS[application]}, 8) < 1500 + 1000)"
    with Peer([silent if way == "down" else babbling]) as peer:
        assert talk.run(peer, source, keepalive=1, timeout=500) == [DEAD, True]


def test_a_packet_that_never_ends_is_noticed(talk: Talk) -> None:
    def serve(c: Connection) -> None:
        c.accept(message(b"/m", bytes(5000))[:-1])
        c.serve()

    source = TOLD + "told(loop(lambda: session.wait(100), 8) < 2500)"
    with Peer([serve]) as peer:
        assert talk.run(peer, source, keepalive=30, timeout=500) == [DEAD, True]


def test_a_long_packet_that_comes_slowly_is_waited_for(talk: Talk) -> None:
    """An answer behind it is late by as much as the packet takes."""

    def serve(c: Connection) -> None:
        c.accept()
        long = message(b"/m", bytes(4000))
        for at in range(0, len(long), 100):
            c.send(long[at : at + 100])
            time.sleep(0.05)
            if at == 1000:
                c.until(0xC0)
        c.send(b"\xd0\0")
        c.serve()

    source = TOLD + "told(len(session.wait(6000)[1]))\nloop(lambda: session.wait(100), 1)"
    with Peer([serve]) as peer:
        assert talk.run(peer, source, keepalive=1, timeout=400) == [4000, "alive"]


def test_a_flood_does_not_hide_the_clock_from_the_pings(talk: Talk) -> None:
    """Messages faster than they are taken: the platform still hears a ping in time."""

    def serve(c: Connection) -> None:
        c.accept()
        c.sock.settimeout(1.5)
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                try:
                    c.sock.sendall(message(b"/m", b"x" * 20))
                except OSError:
                    return
                time.sleep(0.001)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            c.serve()
        finally:
            stop.set()
            thread.join()

    source = TOLD + "loop(lambda: (session.wait(0), time.sleep_ms(2)), 4)"
    with Peer([serve]) as peer:
        assert talk.run(peer, source, keepalive=1, timeout=500) == ["alive"]


@pytest.mark.parametrize("before", ["pass", "session.close()", "session.disconnect()", "ended()"])
def test_connecting_again_takes_the_place_of_the_connection_before(
    talk: Talk, before: str
) -> None:
    """Online still, closed by the application, or by the platform: one connection is left."""
    left = threading.Event()

    def first(c: Connection) -> None:
        c.accept()
        if before == "ended()":
            c.until(0x82)
            return  # closes
        c.rest()
        left.set()

    def second(c: Connection) -> None:
        c.accept()
        c.serve()

    source = f"""
def ended():
    told(outcome(session.subscribe, "/t")[0])
connect()
{before}
connect()
told(outcome(session.publish, "/t", b"x", qos=1))
session.disconnect()
told(outcome(session.publish, "/t", b"x"))
"""
    with Peer([first, second]) as peer:
        told = talk.run(peer, source)
        assert before == "ended()" or left.wait(5), "the first connection is still there"
    gone = ["NetworkError"] if before == "ended()" else []
    assert told == [*gone, [None, "None"], ["NetworkError", "not connected"]]
