"""The same session for coroutines: other tasks go on, and nothing of theirs gets mixed up."""

from __future__ import annotations

import threading
import time

import pytest
from session_peer import Connection, OnDevice, Peer, Talk, message, puback

START = """
import asyncio, time
"""


@pytest.fixture
def talk(on_device: OnDevice) -> Talk:
    return Talk(on_device)


def echo(c: Connection) -> None:
    c.accept()
    c.serve()


TICKER = (
    START
    + """
longest = 0
async def tick():
    global longest
    last = time.ticks_ms()
    while True:
        await asyncio.sleep_ms(10)
        now = time.ticks_ms()
        longest = max(longest, time.ticks_diff(now, last) - 10)
        last = now
"""
)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_other_tasks_go_on_while_it_is_idle_and_while_it_waits_for_an_answer(
    talk: Talk, tls: bool
) -> None:
    """The steps of the ticker are counted: a wait of two seconds leaves it nearly all of them."""

    def serve(c: Connection) -> None:
        c.accept()
        body = c.until(0x32)
        time.sleep(1)
        c.send(puback(int.from_bytes(body[-3:-1], "big")))
        c.serve()

    source = (
        START
        + """
ticks = 0
async def tick():
    global ticks
    while True:
        await asyncio.sleep_ms(10)
        ticks += 1
async def main(face):
    global ticks
    task = asyncio.create_task(tick())
    await face.wait(1000)
    told(ticks > 50)
    ticks = 0
    await face.publish("/t", b"x", 1)
    told(ticks > 50)
run(main)
"""
    )
    with Peer([serve], tls) as peer:
        assert talk.run(peer, source) == [True, True]


def test_other_tasks_go_on_during_the_handshake(talk: Talk) -> None:
    """A platform that takes its time for each step of it."""

    def serve(c: Connection) -> None:
        echo(c)

    source = (
        START
        + """
from aliyun_iot import aio

steps = 0
async def tick():
    global steps
    while True:
        await asyncio.sleep_ms(5)
        steps += 1
async def go():
    task = asyncio.create_task(tick())
    await asyncio.sleep_ms(0)
    packet = b"\\x10\\x12\\x00\\x04MQTT\\x04\\x02\\x00\\x1e\\x00\\x06client"
    await aio.Session(session).drive(session.connecting(packet, True))
    told(steps)
    await aio.Session(session).publish("/t", b"x", 1)
    told("acknowledged")
asyncio.run(go())
"""
    )
    with Peer([serve], tls=True) as peer, _Slow(peer.port, 0.1) as slow:
        peer_port, peer.port = peer.port, slow.port
        steps, acknowledged = talk.run(peer, source)
        peer.port = peer_port
    assert steps > 20, steps
    assert acknowledged == "acknowledged"


class _Slow:
    """Passes on what comes from the server a tenth of a second later."""

    def __init__(self, target: int, seconds: float) -> None:
        from tools.faults.proxy import Fault, Proxy

        self._proxy = Proxy(target)
        self._proxy.default = Fault("delay", "down", seconds=seconds)
        self.port = 0

    def __enter__(self) -> _Slow:
        self._proxy.__enter__()
        self.port = self._proxy.port
        return self

    def __exit__(self, *exception: object) -> None:
        self._proxy.__exit__(*exception)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_tasks_that_publish_at_once_do_not_mix_their_packets(talk: Talk, tls: bool) -> None:
    source = (
        START
        + """
async def send(face, letter, count):
    for n in range(count):
        await face.publish("/t", letter * (3000 * (n % 4) + 1), n % 2)
async def main(face):
    waiter = asyncio.create_task(face.wait(60000))
    await asyncio.gather(*(send(face, letter, 8) for letter in (b"a", b"b", b"c", b"d")))
    waiter.cancel()
    told("done")
run(main)
"""
    )
    with Peer([echo], tls, receive=4096) as peer:
        assert talk.run(peer, source) == ["done"]
    bodies = [body for _, first, body in peer.connections[0].seen if first & 0xF0 == 0x30]
    payloads = [body[4:] if body[4:5].isalpha() else body[6:] for body in bodies]
    assert len(payloads) == 32
    assert all(payload == payload[:1] * len(payload) for payload in payloads)


def test_what_comes_while_another_task_publishes_reaches_the_one_that_waits(talk: Talk) -> None:
    def serve(c: Connection) -> None:
        c.accept()
        for number in range(20):
            body = c.until(0x32)
            c.send(message(b"/m", b"%d" % number, 1, 500 + number))
            c.send(puback(int.from_bytes(body[4:6], "big")))
        c.serve()

    source = (
        START
        + """
async def main(face):
    async def listen():
        while len(results) < 20:
            got = await face.wait(1000)
            told(got and int(got[1]))
    listener = asyncio.create_task(listen())
    for n in range(20): await face.publish("/t", b"x", 1)
    await listener
    await face.publish("/t", b"x")
run(main)
"""
    )
    with Peer([serve]) as peer:
        assert talk.run(peer, source) == list(range(20))
    acks = [body for _, first, body in peer.connections[0].seen if first == 0x40]
    assert len(acks) == 20


def test_a_flood_leaves_time_for_other_tasks(talk: Talk) -> None:
    def serve(c: Connection) -> None:
        c.accept()
        stop = threading.Event()

        def flood() -> None:
            piece = message(b"/m", b"x" * 10) * 50
            while not stop.is_set():
                try:
                    c.sock.sendall(piece)
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        c.serve()
        stop.set()
        thread.join()

    source = (
        START
        + """
steps = 0
async def tick():
    global steps
    while True:
        await asyncio.sleep_ms(10)
        steps += 1
async def main(face):
    task = asyncio.create_task(tick())
    until = time.ticks_add(time.ticks_ms(), 1000)
    count = 0
    while time.ticks_diff(until, time.ticks_ms()) > 0:
        if await face.wait(1000): count += 1
    told(steps > 30)
    told(count > 100)
run(main)
"""
    )
    with Peer([serve]) as peer:
        assert talk.run(peer, source) == [True, True]


def test_a_task_that_is_cancelled_in_an_exchange_loses_the_connection_and_no_more(
    talk: Talk,
) -> None:
    def silent(c: Connection) -> None:
        c.accept()
        c.rest()

    source = (
        START
        + """
async def main(face):
    task = asyncio.create_task(face.publish("/t", b"x", 1))
    await asyncio.sleep_ms(100)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        told("cancelled")
    told(session.sock is None)
    try:
        await face.publish("/t", b"y")
    except Exception as e:
        told([type(e).__name__, str(e)])
run(main)
connect()
told(session.unacked)
"""
    )
    with Peer([silent, echo]) as peer:
        assert talk.run(peer, source) == [
            "cancelled",
            True,
            ["NetworkError", "not connected"],
            None,  # sent again, and acknowledged
        ]


def test_a_task_that_waits_learns_at_once_that_another_ones_exchange_failed(talk: Talk) -> None:
    def silent(c: Connection) -> None:
        c.accept()
        c.rest()

    source = (
        START
        + """
async def main(face):
    async def listen():
        try:
            await face.wait(30000)
        except Exception as e:
            told([type(e).__name__, str(e), time.ticks_diff(time.ticks_ms(), began) < 2000])
    listener = asyncio.create_task(listen())
    began = time.ticks_ms()
    try:
        await face.publish("/t", b"x", 1)
    except Exception as e:
        told([type(e).__name__, str(e)])
    await listener
run(main)
"""
    )
    with Peer([silent]) as peer:
        told = talk.run(peer, source, keepalive=30, timeout=500)
    assert told == [
        ["NetworkError", "connection: no answer in time"],
        ["NetworkError", "not connected", True],
    ]


def test_a_publish_during_a_connect_waits_for_its_end(talk: Talk) -> None:
    def late(c: Connection) -> None:
        c.until(0x10)
        time.sleep(0.3)
        c.send(b"\x20\x02\0\0")
        c.serve()

    source = (
        START
        + """
from aliyun_iot import aio

async def go():
    face = aio.Session(session)
    packet = b"\\x10\\x12\\x00\\x04MQTT\\x04\\x02\\x00\\x1e\\x00\\x06client"
    task = asyncio.create_task(face.drive(session.connecting(packet)))
    await asyncio.sleep_ms(50)
    await face.publish("/t", b"x", 1)
    told("acknowledged")
    await task
asyncio.run(go())
"""
    )
    with Peer([late]) as peer:
        assert talk.run(peer, source) == ["acknowledged"]
    assert [first for _, first, _ in peer.connections[0].seen][:2] == [0x10, 0x32]


def test_bad_input_is_the_callers_alone(talk: Talk) -> None:
    source = (
        START
        + """
async def main(face):
    for bad in (("/+", b"x"), ("/t", None), ("/t", b"x", 2)):
        try:
            await face.publish(*bad)
        except (ValueError, TypeError) as e:
            told(type(e).__name__)
    await face.publish("/t", b"x", 1)
    told("alive")
run(main)
"""
    )
    with Peer([echo]) as peer:
        assert talk.run(peer, source) == ["ValueError", "TypeError", "ValueError", "alive"]


@pytest.mark.parametrize("application", ["silent", "QoS 0", "QoS 1"])
def test_a_dead_way_down_is_noticed(talk: Talk, application: str) -> None:
    def silent(c: Connection) -> None:
        c.accept()
        c.rest()

    step = {"silent": "pass", "QoS 0": "await face.publish('/t', b'x')"}.get(
        application, "await face.publish('/t', b'x', 1)"
    )
    source = (
        START
        + f"""
async def main(face):
    began = time.ticks_ms()
    try:
        while time.ticks_diff(time.ticks_ms(), began) < 9000:
            {step}
            await face.wait(100)
    except Exception as e:
        told(str(e))
    told(time.ticks_diff(time.ticks_ms(), began) < 2500)
run(main)
"""
    )
    with Peer([silent]) as peer:
        told = talk.run(peer, source, keepalive=1, timeout=500)
    assert told == ["connection: no answer in time", True]
