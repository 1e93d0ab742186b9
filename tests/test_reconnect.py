"""Trying again: how soon, how often, and what a connection that comes back brings with it."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Iterator, Sequence

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.proxy import Fault
from tools.iot_platform import Behaviour

WAITING = r"trying again in .*\n"
DAY = 86400
GUARD = 120  # seconds after which it hangs, however busy the host


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running
        assert not running.platform.faults.take_connack()


def waits(output: str) -> list[int]:
    return [int(found) for found in re.findall(r"trying again in (\d+) s", output)]


def registered_board(bench: Bench, main: str | None = None, **product: object) -> Board:
    """A board that has an identity, and this main.py."""
    board = bench.board(bench.image(bench.product(**product)))
    assert board.boot(CONNECTED, timeout=GUARD).ending == "until"
    if main is not None:
        board.write("/main.py", main.encode())
    return board


def tries_in(board: Board, seconds: int) -> list[int]:
    """When it tries, in seconds by its own clock, in a time that brings nothing but failures.

    A try counts as lasting no time at all, which only brings it nearer to the next.
    """
    board.hurry = 10_000_000
    with board.power_on() as session:
        while sum(waits(session.output)) < seconds:
            assert session.wait(WAITING, GUARD, session.matched) == "until", session.output
        return [0, *itertools.accumulate(waits(session.output))]


def most_in_a_minute(starts: Sequence[float]) -> int:
    return max(sum(begin <= at < begin + 60 for at in starts) for begin in starts)


def test_hours_of_a_busy_platform_are_at_most_five_connects_a_minute(bench: Bench) -> None:
    board = registered_board(bench)
    bench.platform.faults.connack(3, times=5000)
    starts = tries_in(board, DAY // 4)
    bench.platform.faults.clear()
    assert 50 < len(starts) < 200
    # Waits are printed rounded up: a second each.
    assert most_in_a_minute([at - number for number, at in enumerate(starts)]) <= 5
    assert most_in_a_minute(starts) <= 5


def test_a_day_of_refusals_is_a_few_tries_an_hour(bench: Bench) -> None:
    """The secret is refused and the platform will not give another: two requests for each try."""
    board = registered_board(bench)
    bench.platform.faults.connack(5, times=5000)
    starts = tries_in(board, DAY)
    bench.platform.faults.clear()
    assert len(starts) < 24 * 5
    assert most_in_a_minute(starts) <= 2


@pytest.mark.parametrize("code", [460, 6100, 6250, 6288, 6289, 6292, 6600, 4711])
def test_a_refused_registration_is_tried_again_slowly(bench: Bench, code: int) -> None:
    bench.platform.faults.register_code(code)
    with bench.board().power_on() as session:
        assert session.wait(WAITING, GUARD) == "until"
        assert waits(session.output)[0] >= 30
        assert session.wait(CONNECTED, GUARD) == "until"  # an operator has mended it


@pytest.mark.parametrize("code", [429, 500])
def test_a_busy_registration_is_tried_again_soon(bench: Bench, code: int) -> None:
    bench.platform.faults.register_code(code)
    with bench.board().power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until"
        assert waits(session.output)[0] <= 7


@pytest.mark.parametrize(
    ("code", "soon"), [(1, False), (2, False), (3, True), (4, False), (5, False), (None, True)]
)
def test_a_refused_connect_is_tried_again_at_the_pace_of_its_kind(
    bench: Bench, code: int | None, soon: bool
) -> None:
    board = registered_board(bench)
    bench.platform.faults.connack(code)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
    first = waits(session.output)[0]
    assert first <= 7 if soon else first >= 30


def test_waits_grow_while_it_fails_and_are_short_again_after_a_good_connection(
    bench: Bench,
) -> None:
    main = (
        "from aliyun_iot import device\nimport time\n"
        "def idle(session): time.sleep(61); session.close()\n"
        "device.run(on_idle=idle, on_message=idle)\n"
    )
    board = registered_board(bench, main)
    bench.mqtt.expect([Fault("refuse")] * 5)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        assert session.wait(WAITING, GUARD, session.matched) == "until"
    *failed, after = waits(session.output)
    assert len(failed) == 5
    assert failed[-1] > 2 * failed[0]
    assert after <= 7


def test_wifi_that_goes_and_comes_back_brings_the_session_back(bench: Bench) -> None:
    board = registered_board(bench)
    with board.power_on() as session:
        assert session.wait("message on", GUARD) == "until"
        board.wifi = {}
        bench.platform.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait("no address found", GUARD) == "until", session.output
        assert session.wait("wifi: connecting", GUARD, session.matched) == "until"
        board.wifi = None
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output


def test_another_network_of_the_list_is_joined_when_the_first_is_gone(bench: Bench) -> None:
    wifi = {"networks": [{"ssid": "one", "password": "x" * 8}, {"ssid": "two"}]}
    board = bench.board(bench.image(wifi=wifi), wifi={"one": "x" * 8, "two": None})
    with board.power_on() as session:
        assert session.wait("message on", GUARD) == "until"
        board.wifi = {"two": None}
        bench.platform.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait("connecting to two", GUARD) == "until", session.output
        assert session.wait(CONNECTED, GUARD, session.matched) == "until"


def test_no_wifi_at_boot_is_tried_again(bench: Bench) -> None:
    board = bench.board(wifi={})
    with board.power_on() as session:
        assert session.wait(WAITING, GUARD) == "until"
        board.wifi = None
        assert session.wait(CONNECTED, GUARD) == "until", session.output


def test_names_that_are_not_found_are_tried_again(bench: Bench) -> None:
    board = bench.board(resolve={})
    with board.power_on() as session:
        assert session.wait("no address found for localhost", GUARD) == "until"
        board.resolve = {"*": "127.0.0.1"}
        assert session.wait(CONNECTED, GUARD) == "until"


def test_a_broker_that_closes_idle_sessions_gets_them_back_with_their_subscriptions(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    main = (
        "from aliyun_iot import device\n"
        "def on_connect(session):\n"
        "    if not session.topics: session.subscribe(session.topic('user/get'))\n"
        "device.run(on_connect, lambda s, topic, payload: print('got', payload))\n"
    )
    behaviour = Behaviour(keepalive_factor=0.05)  # of 30 s
    with Bench(tmp_path_factory.mktemp("idle"), behaviour=behaviour) as bench:
        board = registered_board(bench, main, keepalive=30)
        with board.power_on() as session:
            for count in (1, 2):
                assert session.wait(CONNECTED, GUARD, session.matched) == "until"
                topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
                for _ in range(GUARD):  # it may not be subscribed yet, or closed already
                    bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"hello %d" % count)
                    if session.wait(f"got b'hello {count}'", 1) == "until":
                        break
                assert f"got b'hello {count}'" in session.output, session.output
        ended = bench.platform.record.events("disconnect", device_name=board.mac)
        assert "keepalive" in {event.details["reason"] for event in ended}


def arrived(bench: Bench, name: str) -> list[str]:
    """The different payloads that came on user/update, in the order in which they first came."""
    payloads = [
        message.payload.decode()
        for message in bench.platform.record.messages()
        if message.device_name == name and message.topic.endswith("user/update")
    ]
    return list(dict.fromkeys(payloads))


@pytest.mark.parametrize("seed", range(3))
def test_a_qos_1_message_without_acknowledgement_is_sent_again(bench: Bench, seed: int) -> None:
    """Each is taken off the queue before it is published: only the session can save it."""
    main = (
        "from aliyun_iot import device\n"
        "queue = list(range(30))\n"
        "def on_connect(session):\n"
        "    while queue:\n"
        "        n = queue.pop(0)\n"
        "        session.publish(session.topic('user/update'), '{\"n\":%d}' % n, qos=1)\n"
        "    print('all sent')\n"
        "device.run(on_connect)\n"
    )
    board = registered_board(bench, main)
    rng = random.Random(seed)
    bench.mqtt.expect(
        Fault(rng.choice(["cut", "reset"]), rng.choice(["up", "down"]), rng.randrange(1500, 2200))
        if number % 2
        else Fault("cut", "up", rng.randrange(480, 1500))
        for number in range(8)
    )
    with board.power_on() as session:
        assert session.wait("all sent", GUARD) == "until", session.output
    bench.mqtt.expect([])
    expected = [f'{{"n":{n}}}' for n in range(30)]
    deadline = time.monotonic() + GUARD  # the platform acknowledges before it writes its record
    while arrived(bench, board.mac) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert arrived(bench, board.mac) == expected
    assert waits(session.output)


def test_a_platform_that_falls_silent_is_noticed_by_its_missing_ping_answer(bench: Bench) -> None:
    main = (
        "from aliyun_iot import device\n"
        "def on_connect(session): session.keepalive, session.timeout = 1, 500\n"
        "device.run(on_connect)\n"
    )
    board = registered_board(bench, main)
    bench.mqtt.expect([Fault("stall", "down", 1700)])
    with board.power_on() as session:
        assert session.wait(r"no answer in time; trying again", GUARD) == "until", session.output
        assert session.wait(CONNECTED, GUARD, session.matched) == "until"


def test_an_application_that_crashes_at_every_start_keeps_to_the_limit(bench: Bench) -> None:
    board = registered_board(bench)
    tell = "import time; print('clock', time.ticks_ms(), '{}')\n"
    connected, reset = "def on_connect(session):\n", "    machine.reset()\n"
    source = tell.format("start") + (board.read("/main.py") or b"").decode()
    source = source.replace(connected, f"{connected}    {tell.format('connect')}    1 / 0\n")
    source = source.replace(reset, f"    {tell.format('reset')}{reset}")
    board.write("/main.py", source.encode())
    before = len(bench.platform.record.events("connect", device_name=board.mac))
    lives = 12
    with board.power_on(max_boots=lives) as session:
        assert session.wait(None, GUARD) == "reset", session.output
    assert session.output.count("ZeroDivisionError") == lives
    connects = bench.platform.record.events("connect", device_name=board.mac)[before:]
    assert [event.code for event in connects] == [0] * lives
    # Ticks begin anew with each life; what lies between two lives counts as no time at all.
    told = re.findall(r"^clock (\d+) (start|connect|reset)", session.output, re.MULTILINE)
    assert [what for _, what in told] == ["start", "connect", "reset"] * lives
    starts, passed = [], 0.0
    for (start, _), (connect, _), (end, _) in zip(*[iter(told)] * 3, strict=True):
        starts.append(passed + (int(connect) - int(start)) / 1000)
        passed += (int(end) - int(start)) / 1000
    assert most_in_a_minute(starts) <= 5
