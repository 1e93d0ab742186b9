"""The platform's longest message over a slow link, and one that stalls."""

from __future__ import annotations

import select
import time

import pytest
from session_peer import Connection, OnDevice, Peer, Talk, puback

SIZE = 262144


class SlowTaker:
    """Reads so many bytes a second, up to byte `stall` if that is given, with small buffers."""

    def __init__(self, rate: int, stall: int | None = None) -> None:
        self._rate = rate
        self._stall = stall

    def __call__(self, c: Connection) -> None:
        c.accept()
        began = time.monotonic()
        taken = 0
        head = c._exactly(4)
        size = (head[1] & 127) | (head[2] & 127) << 7 | head[3] << 14
        while taken < size:
            if self._stall is not None and taken >= self._stall:
                gone = select.poll()
                gone.register(c.sock, select.POLLRDHUP)
                gone.poll(60_000)
                return
            piece = len(c.sock.recv(min(2048, size - taken)))
            if not piece:
                return
            taken += piece
            time.sleep(max(0.0, began + taken / self._rate - time.monotonic()))
        c.send(puback(1))
        c.serve()


SEND = """
import time
payload = bytes(%d)
def small(sock):
    pass
connect()
%s
began = time.ticks_ms()
told(outcome(session.publish, "/t", payload, qos=1))
told(time.ticks_diff(time.ticks_ms(), began))
"""


@pytest.fixture
def talk(on_device: OnDevice) -> Talk:
    return Talk(on_device)


CHIP = "session.sock.sock.setsockopt(1, 7, 5744)  # SOL_SOCKET, SO_SNDBUF: as lwIP has it"


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_large_message_takes_as_long_as_it_must(talk: Talk, tls: bool) -> None:
    """Ten times `timeout`: what counts is that it goes on."""
    with Peer([SlowTaker(60_000)], tls, receive=4096) as peer:
        result, ms = talk.run(peer, SEND % (SIZE, CHIP), timeout=400)
    assert result == [None, "None"]
    assert ms > 3000


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_one_that_stalls_is_given_up(talk: Talk, tls: bool) -> None:
    with Peer([SlowTaker(200_000, stall=100_000)], tls, receive=4096) as peer:
        result, ms = talk.run(peer, SEND % (SIZE, CHIP), timeout=400)
    assert result == ["NetworkError", "connection: no answer in time"]
    assert ms < 3000


def test_the_same_for_coroutines(talk: Talk) -> None:
    source = f"""
import asyncio, time
ticks = 0
async def tick():
    global ticks
    while True:
        await asyncio.sleep_ms(10)
        ticks += 1
async def main(face):
    asyncio.create_task(tick())
    {CHIP}
    await face.publish("/t", bytes({SIZE}), 1)
    told(ticks > 100)
run(main)
"""
    with Peer([SlowTaker(100_000)], tls=True, receive=4096) as peer:
        assert talk.run(peer, source, timeout=400) == [True]


def test_an_answer_that_never_comes_is_waited_for_as_long_as_the_network_may_hold_it(
    talk: Talk,
) -> None:
    """`timeout` after the last byte, and a second for each 8 kB sent, of 64 kB at the most."""

    def silent(c: Connection) -> None:
        c.accept()
        c.rest()

    with Peer([silent]) as peer:
        result, ms = talk.run(peer, SEND % (8000, ""), timeout=400)
    assert result == ["NetworkError", "connection: no answer in time"]
    assert 1300 < ms < 4000
