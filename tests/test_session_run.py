"""`device.run` and `aio.run` with applications as people write them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from session_peer import Connection, Handler, Peer

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.layout import ROOT

GUARD = 90
RUNS = ["device.run", "aio.run"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


def board_with(
    bench: Bench, main: str | None, *, port: int | None = None, **options: Any
) -> Board:
    """A board with an identity on its flash. port: of another platform than the bench's."""
    (name,) = bench.devices(1)
    record = {
        "productKey": PRODUCT_KEY,
        "deviceName": name,
        "deviceSecret": bench.secret_of(name),
    }
    product = bench.product(productSecret=None, **({"mqttPort": port} if port else {}))
    image: dict[str, Any] = {"device": record} | ({} if main is None else {"main": main})
    board = bench.board(bench.image(product, **image), **options)
    board.device = name  # type: ignore[attr-defined]
    return board


def name_of(board: Board) -> str:
    return str(board.device)  # type: ignore[attr-defined]


def running(which: str, arguments: str) -> str:
    """The start of a program and the statement that runs it."""
    if which == "device.run":
        return f"from aliyun_iot import device\nrun = lambda: device.run({arguments})\n"
    return (
        "import asyncio\nfrom aliyun_iot import aio\n"
        # The simulator hurries time.sleep, not this one.
        "sleep_ms = asyncio.sleep_ms\nasyncio.sleep_ms = lambda ms: sleep_ms(min(ms, 50))\n"
        f"run = lambda: asyncio.run(aio.run({arguments}))\n"
    )


PAYLOADS = [b"\x80", b"\xff\xfe", b"", b"\x02\x00\xff", bytes(range(256)) * 8, "é😀".encode()]


def readme_programs() -> list[str]:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return [block for block in blocks if "on_message" in block and "Gateway" not in block]


@pytest.mark.parametrize("program", ["main.py", *range(len(readme_programs()))])
def test_programs_of_ours_survive_any_payload(bench: Bench, program: str | int) -> None:
    main = None if isinstance(program, str) else readme_programs()[program]
    board = board_with(bench, main)
    topic = f"/sys/{PRODUCT_KEY}/{name_of(board)}/thing/model/down_raw"
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        session.step(0.2)
        for number, payload in enumerate(PAYLOADS):
            assert bench.platform.publish(PRODUCT_KEY, name_of(board), topic, payload, number % 2)
        end = b"the end"
        bench.platform.publish(PRODUCT_KEY, name_of(board), topic, end)
        assert session.wait("the end", GUARD) == "until", session.output
        assert session.output.count("down_raw") == len(PAYLOADS) + 1
        assert "Traceback" not in session.output
        assert len(re.findall(CONNECTED, session.output)) == 1


@pytest.mark.parametrize("which", RUNS)
def test_what_the_application_raises_comes_out_as_it_is(bench: Bench, which: str) -> None:
    """From each of its functions; the connection is closed with a goodbye."""
    main = (
        """
errors = [ValueError("a"), TypeError("b"), IndexError("c"), AssertionError("d"), OSError(5, "e")]
places = ["connect", "message", "idle"]
place = error = None
def maybe(where):
    if where == place: raise error
def on_connect(session):
    maybe("connect")
    # The platform answers this one: there is a message.
    result = session.publish(session.topic("thing/event/property/post"), b'{"id":"1","params":{}}')
    return result
def on_message(session, topic, payload): maybe("message")
def on_idle(session): maybe("idle")
"""
        + running(which, "on_connect, on_message, on_idle")
        + """
for place in places:
    for error in errors:
        try:
            run()
        except Exception as e:
            print("RAISED", place, type(e).__name__, e is error)
print("OVER")
"""
    )
    board = board_with(bench, main)
    with board.power_on() as session:
        assert session.wait("^OVER", GUARD) == "until", session.output
    said = re.findall(r"RAISED (\w+) (\w+) (\w+)", session.output)
    kinds = ["ValueError", "TypeError", "IndexError", "AssertionError", "OSError"]
    expected = [
        (place, kind, "True") for place in ("connect", "message", "idle") for kind in kinds
    ]
    assert said == expected
    assert "trying again" not in session.output
    ends = bench.platform.record.events("disconnect", device_name=name_of(board))
    assert {event.details["reason"] for event in ends} == {"disconnected"}, ends


@pytest.mark.parametrize("which", RUNS)
def test_on_idle_comes_by_the_clock_whatever_arrives(bench: Bench, which: str) -> None:
    """It posts, which is answered; others flood the device meanwhile."""
    main = (
        """
import time
calls, count = [], 0
def idle(session):
    calls.append(time.ticks_ms())
    return session.publish(session.topic("thing/event/property/post"), b'{"id":"1","params":{}}')
def message(session, topic, payload):
    global count
    count += 1
    if payload == b"end":
        spans = [time.ticks_diff(b, a) for a, b in zip(calls, calls[1:])]
        print("SPANS", min(spans), len(spans), count)
"""
        + running(which, "None, message, idle")
        + "run()\n"
    )
    board = board_with(bench, main, hurry=1)
    topic = f"/sys/{PRODUCT_KEY}/{name_of(board)}/thing/service/property/set"
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            bench.platform.publish(PRODUCT_KEY, name_of(board), topic, b"x")
            session.step(0.02)
        bench.platform.publish(PRODUCT_KEY, name_of(board), topic, b"end")
        assert session.wait("SPANS.*\n", GUARD) == "until", session.output
    (told,) = re.findall(r"SPANS (\d+) (\d+) (\d+)", session.output)
    least, spans, count = map(int, told)
    assert least >= 990
    assert spans >= 1
    assert count > 30


@pytest.mark.parametrize("which", RUNS)
def test_a_message_given_up_is_told_once_there_is_a_connection(bench: Bench, which: str) -> None:
    def lose(c: Connection) -> None:
        c.accept()
        c.until(0x32)

    def echo(c: Connection) -> None:
        c.accept()
        c.serve()

    main = (
        """
sent = False
def on_connect(session):
    global sent
    print("UP")
    if not sent:
        sent = True
        return session.publish("/t", b"poison", qos=1)
def gave_up(session, topic, payload):
    print("GIVEN UP", topic, payload)
    return session.publish("/t", b"sorry", qos=1)
"""
        + running(which, "on_connect, on_given_up=gave_up")
        + "run()\n"
    )
    handlers: list[Handler] = [lose, lose, lose, echo]
    with Peer(handlers, tls=True) as peer:
        board = board_with(bench, main, port=peer.port)
        with board.power_on() as session:
            assert session.wait("GIVEN UP.*\n(.*\n)*UP", GUARD) == "until", session.output
    assert "GIVEN UP b'/t' b'poison'" in session.output
    assert [body[-5:] for _, first, body in peer.connections[3].seen if first == 0x32] == [
        b"sorry"
    ]


def test_two_boards_with_one_identity_do_not_throw_each_other_out_for_ever(bench: Bench) -> None:
    first = board_with(bench, "from aliyun_iot import device\ndevice.run()\n")
    image = first.folder / "flash.bin"
    second = bench.board(image.read_bytes())
    with first.power_on() as one:
        assert one.wait(CONNECTED, GUARD) == "until", one.output
        with second.power_on() as two:
            deadline = time.monotonic() + GUARD
            waits: list[int] = []
            while time.monotonic() < deadline and len(waits) < 4:
                one.step(0.05)
                two.step(0.05)
                waits = [int(s) for s in re.findall(r"trying again in (\d+) s", one.output)]
    assert "connected elsewhere with this identity" in one.output
    assert len(waits) >= 4, (one.output, two.output)
    assert waits[0] >= 30
    assert waits[3] > 2 * waits[0]


@pytest.mark.parametrize("code", [4, 5])
def test_a_refused_secret_is_explained(bench: Bench, code: int) -> None:
    board = board_with(bench, "from aliyun_iot import device\ndevice.run()\n")
    bench.platform.faults.connack(code)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
    (said,) = [line for line in session.output.splitlines() if "CONNACK" in line]
    for part in ("reset", "deleted", "disabled", "never created"):
        assert part in said


def test_the_client_id_asks_for_remote_calls_and_notices(bench: Bench) -> None:
    board = board_with(bench, None)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
    (event,) = bench.platform.record.events("connect", device_name=name_of(board))
    assert ",ext=3|" in event.details["client_id"]


@pytest.mark.parametrize("where", ["connect", "message", "idle"])
def test_an_application_may_close_the_session_anywhere(bench: Bench, where: str) -> None:
    main = f"""
from aliyun_iot import device
closed = 0
def close(session, where):
    global closed
    if where == {where!r} and closed < 2:
        closed += 1
        session.close()
def on_connect(session):
    session.publish(session.topic("thing/event/property/post"), b'{{"id":"1","params":{{}}}}')
    close(session, "connect")
def on_message(session, topic, payload):
    print("MESSAGE")
    close(session, "message")
device.run(on_connect, on_message, lambda session: close(session, "idle"))
"""
    board = board_with(bench, main)
    with board.power_on() as session:
        for _ in range(3):
            assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
        assert session.wait("MESSAGE", GUARD, session.matched) == "until", session.output
    assert session.output.count("not connected; trying again") == 2


@pytest.mark.parametrize("own", [False, True], ids=["system topic", "own topic"])
@pytest.mark.parametrize("which", RUNS)
def test_a_remote_call_is_answered(bench: Bench, which: str, own: bool) -> None:
    """On the topic it came on, with `response` for `request` where the topic is the system's."""
    main = (
        """
def on_message(session, topic, payload):
    # Within 8 s, QoS 0. What the caller's own topic is called does not matter.
    if topic.startswith(b"/ext/rrpc/"):
        return session.publish(topic, b"lamp: on")
    if b"/rrpc/request/" in topic:
        return session.publish(topic.replace(b"/request/", b"/response/"), b"lamp: on")
"""
        + running(which, "None, on_message")
        + "run()\n"
    )
    board = board_with(bench, main)
    topic = f"/{PRODUCT_KEY}/{name_of(board)}/user/" + "t" * 60 if own else None
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        answer = bench.platform.rrpc(PRODUCT_KEY, name_of(board), b"lamp?", topic)
    assert answer == b"lamp: on"
