"""Bootstrap: a device asks where it is served, goes there, and is never stranded by an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY
from tools.faults.places import NEW, OLD, TwoPlaces

GUARD = 90  # seconds after which it hangs, however busy the host
WAITING = r"trying again in .*\n"
PLACE = "/place.json"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPlaces]:
    with TwoPlaces(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(autouse=True)
def _well(bench: TwoPlaces) -> Iterator[None]:
    yield
    bench.platform.behaviour.bootstrap = "answer"
    bench.platform.faults.clear()


def asking_board(bench: TwoPlaces, main: str | None = None, **product: Any) -> Board:
    image: dict[str, Any] = {} if main is None else {"main": main}
    return bench.board(bench.image(bench.asking(**product), **image))


def boot(board: Board, until: str = CONNECTED) -> str:
    result = board.boot(until, GUARD)
    assert result.ending == "until", result.output
    return result.output


def place_of(board: Board) -> str | None:
    """The host that is kept."""
    data = board.read(PLACE)
    return str(json.loads(data)["host"]) if data else None


def asked(bench: TwoPlaces, board: Board) -> int:
    return len(bench.platform.record.events("bootstrap", PRODUCT_KEY, board.mac))


def test_a_device_asks_once_keeps_the_answer_and_uses_it_from_then_on(bench: TwoPlaces) -> None:
    board = asking_board(bench)
    bench.move(board)
    boot(board)
    assert bench.connects(board) == [NEW]
    record = json.loads(board.read(PLACE) or b"")
    assert record.pop("check")
    assert record == {
        "productKey": PRODUCT_KEY,
        "deviceName": board.mac,
        "host": bench.new.host,
        "port": str(bench.new.mqtt_tls_port),
    }
    result = board.boot(CONNECTED, GUARD)
    assert result.flash_operations == 0
    assert (asked(bench, board), bench.connects(board)) == (1, [NEW, NEW])
    assert bench.connects(board, 4) == []


def test_a_device_that_did_not_opt_in_neither_asks_nor_loads_what_would(bench: TwoPlaces) -> None:
    main = (
        "import sys\nfrom aliyun_iot import device\n"
        "loaded = []\n"
        "import aliyun_iot as package\n"
        "plain = package.phase\n"
        "def phase(what, *args):\n    loaded.append(what)\n    return plain(what, *args)\n"
        "package.phase = device.phase = phase\n"
        "device.run(lambda session: print('loaded', any('moving' in each for each in loaded)))\n"
    )
    board = bench.board(bench.image(main=main))
    assert "loaded False" in boot(board, r"loaded \w+\n")
    assert asked(bench, board) == 0
    assert board.read(PLACE) is None


def test_registration_over_mqtt_goes_where_bootstrap_tells(bench: TwoPlaces) -> None:
    board = asking_board(bench, registration="mqtt")
    bench.move(board)
    boot(board)
    assert set(bench.connects(board)) == {NEW}
    assert bench.connects(board, 4) == []
    assert bench.registrations(board) == 1


def test_an_answer_that_stopped_serving_is_asked_for_again(bench: TwoPlaces) -> None:
    board = asking_board(bench)
    boot(board)
    bench.move(board)
    boot(board)
    assert bench.connects(board) == [OLD, NEW]
    assert bench.connects(board, 4) == [OLD]
    assert (asked(bench, board), bench.registrations(board)) == (2, 1)
    assert place_of(board) == bench.new.host


@pytest.mark.parametrize(
    "fault",
    [
        "refuse",
        "silence",
        "no host",
        "no port",
        "empty host",
        "another host",
        "port no number",
        "port out of range",
        "not JSON",
    ],
)
def test_an_answer_that_is_of_no_use_does_not_keep_a_board_offline(
    bench: TwoPlaces, fault: Any
) -> None:
    board = asking_board(bench)
    bench.platform.behaviour.bootstrap = fault
    boot(board)
    assert bench.connects(board) == [OLD]
    assert place_of(board) is None, "what did not serve is not kept"


def test_the_last_answer_that_served_outlives_bootstraps_silence(bench: TwoPlaces) -> None:
    board = asking_board(bench)
    bench.move(board)
    boot(board)
    bench.platform.behaviour.bootstrap = "refuse"
    bench.platform.faults.connack(3)
    boot(board)
    assert bench.connects(board) == [NEW, NEW]
    assert bench.registrations(board) == 1


def test_another_devices_answer_on_flash_is_not_taken(bench: TwoPlaces) -> None:
    other, board = asking_board(bench), asking_board(bench)
    bench.move(other)
    boot(other)
    board.write(PLACE, other.read(PLACE))
    boot(board)
    assert bench.connects(board, 4) == []
    assert place_of(board) == bench.old.host


def test_a_refused_identity_is_registered_again_once_bootstrap_has_confirmed_its_place(
    bench: TwoPlaces,
) -> None:
    board = asking_board(bench)
    bench.move(board)
    boot(board)
    bench.platform.delete(PRODUCT_KEY, board.mac)
    bench.platform.registry.add_device(PRODUCT_KEY, board.mac)
    bench.move(board)
    output = boot(board)
    assert bench.registrations(board) == 2, output
    assert bench.connects(board) == [NEW, NEW]
    assert bench.stored_secret(board) == bench.secret_of(board.mac)


TOLD = """
from aliyun_iot import device
def on_connect(session):
    if not session.topics: session.subscribe(session.topic('user/get'))
    print('at', session.server, session.topics)
"""


def test_a_device_that_is_told_answers_asks_again_and_moves_with_its_subscriptions(
    bench: TwoPlaces,
) -> None:
    main = TOLD + "device.run(on_connect, lambda s, topic, payload: print('got', payload))\n"
    board = asking_board(bench, main)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        assert bench.move(board)
        assert session.wait(f"at {bench.new.host}.*user/get", GUARD) == "until", session.output
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
        assert bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"there")
        assert session.wait("got b'there'", GUARD, session.matched) == "until", session.output
        assert "bootstrap/notify" not in session.output, "the application does not see it"
    (reply,) = [
        message
        for message in bench.platform.record.messages()
        if message.topic.endswith("notify_reply") and board.mac in message.topic
    ]
    answer = json.loads(reply.payload)
    assert (answer["code"], answer["data"]) == (200, {})
    assert answer["id"]
    assert bench.connects(board) == [OLD, NEW]
    assert bench.connects(board, 4) == []


def test_an_unacknowledged_message_moves_along(bench: TwoPlaces) -> None:
    """The device is moved while the acknowledgement of a message is lost."""
    main = (
        "import time\nfrom aliyun_iot import device\n"
        "def on_connect(session):\n"
        "    session.timeout = 500\n    print('at', session.server, session.unacked)\n"
        "def on_message(session, topic, payload):\n"
        "    print('sending')\n    time.sleep_ms(500000)\n"  # in a hurry: half a second
        "    session.publish(session.topic('user/update'), b'kept', qos=1)\n"
        "device.run(on_connect, on_message)\n"
    )
    board = asking_board(bench, main)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"go")
        assert session.wait("sending", GUARD) == "until", session.output
        bench.mqtt.strike("down dead")
        bench.move(board)
        assert session.wait(f"at {bench.new.host} None", GUARD) == "until", session.output
    sent = [m.payload for m in bench.platform.record.messages() if m.device_name == board.mac]
    assert sent == [b"kept"] * 2, "once there, once here"
    assert bench.registrations(board) == 1


def test_an_own_loop_and_coroutines_are_told_alike(bench: TwoPlaces) -> None:
    own = (
        "import time\nfrom aliyun_iot import IotError\nfrom aliyun_iot.device import Device\n"
        "board = Device.open()\n"
        "while True:\n"
        "    try:\n"
        "        session = board.connect()\n        print('at', session.server)\n"
        "        while True: session.wait(60000)\n"
        "    except IotError as e: print(e)\n"
        "    time.sleep(2)\n"
    )
    coroutines = (
        "import asyncio\nfrom aliyun_iot import aio\n"
        "asyncio.run(aio.run(lambda session: print('at', session.plain.server)))\n"
    )
    for main in (own, coroutines):
        board = asking_board(bench, main)
        with board.power_on() as session:
            assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
            assert bench.move(board)
            assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
        assert bench.connects(board) == [OLD, NEW]


def test_a_notice_with_another_cmd_is_nobodys_order(bench: TwoPlaces) -> None:
    main = TOLD + "device.run(on_connect, lambda s, topic, payload: print('message', topic))\n"
    board = asking_board(bench, main)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        bench.platform.notify_bootstrap(PRODUCT_KEY, board.mac, cmd=7)
        assert session.wait("message .*bootstrap/notify", GUARD) == "until", session.output
    assert asked(bench, board) == 1


def test_a_device_that_is_told_twice_at_once_moves_once(bench: TwoPlaces) -> None:
    main = TOLD + "device.run(on_connect, lambda s, topic, payload: print('message', topic))\n"
    board = asking_board(bench, main)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        bench.move(board)
        for _ in range(2):
            bench.platform.notify_bootstrap(PRODUCT_KEY, board.mac)
        assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
        assert "message" not in session.output
    assert bench.connects(board) == [OLD, NEW]


def test_a_device_that_was_just_relocated_is_told_too(bench: TwoPlaces) -> None:
    main = TOLD + (
        "import json, select\n"
        "def on_message(session, topic, payload):\n"
        "    session.device.relocate(**json.loads(payload))\n    print('relocated')\n"
        "    select.poll().poll(1000)\n"  # in real time: the notice comes meanwhile
        "device.run(on_connect, on_message)\n"
    )
    board = asking_board(bench, main)
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/user/get"
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, json.dumps(bench.at_new).encode())
        assert session.wait("relocated", GUARD) == "until", session.output
        assert bench.move(board)
        assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
    assert bench.connects(board) == [OLD, NEW]
    assert bench.connects(board, 4) == []


def test_half_a_notice_of_a_connection_that_ended_does_not_spoil_the_next(
    bench: TwoPlaces,
) -> None:
    main = TOLD + "device.run(on_connect, lambda s, topic, payload: print('message', topic))\n"
    board = asking_board(bench, main)
    boot(board)  # a minute has room for five tries, and two of them have been
    topic = f"/sys/{PRODUCT_KEY}/{board.mac}/thing/bootstrap/notify"
    with board.power_on() as session:
        assert session.wait(f"at {bench.old.host}", GUARD) == "until", session.output
        bench.mqtt.strike("cut")
        long = json.dumps({"id": "1", "params": {"cmd": 0, "why": "x" * 45000}})
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, long.encode())
        assert session.wait(f"at {bench.old.host}", GUARD, session.matched) == "until"
        assert bench.move(board)
        assert session.wait(f"at {bench.new.host}", GUARD) == "until", session.output
    assert "message" not in session.output, session.output
    assert bench.connects(board, 4) == [], session.output


def test_a_plain_device_sees_the_notice_as_any_message(bench: TwoPlaces) -> None:
    main = "from aliyun_iot import device\ndevice.run(None, lambda s, t, p: print('got', t, p))\n"
    board = bench.board(bench.image(main=main))
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until"
        bench.platform.notify_bootstrap(PRODUCT_KEY, board.mac)
        assert session.wait(r"got .*bootstrap/notify.*\"cmd\":0", GUARD) == "until"
    assert not [m for m in bench.platform.record.messages() if m.device_name == board.mac]


def test_asking_counts_as_a_try_and_keeps_to_five_a_minute(bench: TwoPlaces) -> None:
    board = asking_board(bench)
    boot(board)
    bench.platform.faults.connack(3, times=5000)
    board.hurry = 10_000_000
    with board.power_on() as session:
        for _ in range(25):
            assert session.wait(WAITING, GUARD, session.matched) == "until", session.output
    at, tries, waits = 0, [], 0
    for line in session.output.splitlines():
        if "bootstrap: told" in line or "trying again in" in line:
            tries.append(at - waits)
        if "trying again in" in line:
            at += int(line.split()[-2])
            waits += 1  # they are printed rounded up
    assert len(tries) > 25 + 10
    assert max(sum(begin <= each < begin + 60 for each in tries) for begin in tries) <= 5
