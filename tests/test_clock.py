"""The clock for checking certificates, when NTP is right, blocked or wrong."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.iot_platform import Certificate
from tools.iot_platform.alink.gateway import Gateways
from tools.iot_platform.rules.names import Identity

DAY = 86400
YEAR = 365 * DAY
BUILT = 2_000_000_000  # 2033: the clock's floor on these boards, so the real time does not matter
GUARD = 90  # seconds: a boot that takes longer has hung, however busy the host
WAITING = r"trying again in .*\n"
NEVER_SET = "the clock was never set: no NTP"


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A platform whose certificate is valid from 100 to 500 days after the image was built."""
    valid = Certificate(not_before=moment(BUILT + 100 * DAY), not_after=moment(BUILT + 500 * DAY))
    with Bench(tmp_path_factory.mktemp("later"), certificate=valid) as running:
        yield running


def board_of(bench: Bench, ntp: str, **image: Any) -> Board:
    return bench.board(bench.image(built=BUILT, **image), ntp=ntp)


def lies(seconds: float) -> str:
    return f"lies:{int(seconds)}"


def said(board: Board, until: str = CONNECTED) -> str:
    result = board.boot(until, timeout=GUARD)
    assert result.ending == "until", result.output
    return result.output


def test_the_clock_is_set_by_ntp(bench: Bench) -> None:
    board = board_of(bench, lies(BUILT + 50 * DAY))
    said(board)
    assert BUILT + 50 * DAY <= board.clock < BUILT + 51 * DAY


def test_without_ntp_the_clock_starts_when_the_image_was_built(bench: Bench) -> None:
    board = board_of(bench, "blocked")
    assert "clock: no NTP" in said(board)
    assert BUILT <= board.clock < BUILT + DAY


@pytest.mark.parametrize(
    "told",
    [BUILT - DAY, BUILT + 21 * YEAR, 0, 2**32 - 1],
    ids=["before", "decades", "1970", "2106"],
)
def test_an_impossible_ntp_time_is_not_believed(bench: Bench, told: int) -> None:
    board = board_of(bench, lies(told))
    assert "NTP tells an impossible time" in said(board)
    assert BUILT <= board.clock < BUILT + DAY


def test_a_short_ntp_answer_counts_as_no_ntp(bench: Bench) -> None:
    board = board_of(bench, "short")
    assert "clock: no NTP" in said(board)


def test_with_a_broken_build_json_the_floor_is_the_date_of_the_release(bench: Bench) -> None:
    for content in (b"", b"[]", b'{"time": "soon"}', b'{"time": true}'):
        board = board_of(bench, "blocked", files={"/build.json": content})
        said(board, "is not registered yet")
        assert 1795392000 <= board.clock < 1795392000 + DAY


@pytest.mark.parametrize("flow", ["register", "connect"])
def test_a_failed_verification_says_if_the_clock_was_never_set(later: Bench, flow: str) -> None:
    device = None
    if flow == "connect":
        (name,) = later.devices(1)
        device = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": "x"}
    product = later.product(productSecret=None) if device else later.product()
    board = later.board(later.image(product, device=device, built=BUILT), ntp="blocked")
    output = said(board, WAITING)
    assert "validity starts in the future" in output
    assert NEVER_SET in output


def test_a_failed_verification_does_not_blame_a_clock_that_is_set(
    later: Bench,
) -> None:
    board = board_of(later, lies(BUILT + 50 * DAY))
    assert NEVER_SET not in said(board, WAITING)


def test_ntp_is_asked_again_after_it_was_blocked(later: Bench) -> None:
    board = board_of(later, "blocked")
    with board.power_on() as session:
        assert session.wait(WAITING, GUARD) == "until"
        board.ntp = lies(BUILT + 200 * DAY)
        assert session.wait(CONNECTED, GUARD) == "until", session.output


@pytest.mark.parametrize(
    "meanwhile",
    ["", "blocked", lies(BUILT - DAY)],
    ids=["at once", "blocked first", "an impossible time first"],
)
def test_ntp_is_asked_again_when_its_time_may_have_been_wrong(
    later: Bench, meanwhile: str
) -> None:
    board = board_of(later, lies(BUILT + 5 * YEAR))
    with board.power_on() as session:
        assert session.wait(r"has expired.*\n", GUARD) == "until", session.output
        assert "clock:" not in session.output
        assert NEVER_SET not in session.output
        if meanwhile:
            board.ntp = meanwhile
            told = "no NTP" if meanwhile == "blocked" else "NTP tells an impossible time"
            again = rf"clock: {told}.*\n(.*\n)*?.*trying again"
            assert session.wait(again, GUARD, session.matched) == "until", session.output
        board.ntp = lies(BUILT + 200 * DAY)
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
    assert BUILT + 200 * DAY <= board.clock < BUILT + 201 * DAY


def test_the_clock_is_kept_through_a_reset(bench: Bench) -> None:
    main = (
        "import machine, aliyun_iot, time\nprint('source', aliyun_iot.time_source)\n"
        "if machine.reset_cause() == machine.PWRON_RESET: machine.reset()\n"
    )
    board = board_of(bench, lies(BUILT + 50 * DAY), main=main)
    with board.power_on(max_boots=2) as session:
        assert session.wait("source ntp", GUARD) == "until"
        board.ntp = "blocked"
        assert session.wait("source kept", GUARD) == "until", session.output
        assert board.clock >= BUILT + 50 * DAY


def test_the_time_service_of_the_platform_sets_the_clock_when_ntp_cannot(bench: Bench) -> None:
    main = (
        "import aliyun_iot\nfrom aliyun_iot import device\n"
        "device.run(lambda session: print('source', aliyun_iot.time_source))\n"
    )
    (name,) = bench.devices(
        1
    )  # already registered: the Date of a registration would set the clock first
    secret = bench.secret_of(name)
    device = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": secret}
    product = bench.product(productSecret=None)
    board = bench.board(bench.image(product, device=device, built=0, main=main), ntp="blocked")
    with board.power_on() as session:
        assert session.wait("source platform", GUARD) == "until", session.output
        assert abs(board.clock - time.time()) < 5


MALFORMED = [
    b"",
    b"\xff{",
    b"[]",
    b"null",
    b"{}",
    b'{"serverRecvTime":"1796000000000"}',
    b'{"serverRecvTime":"soon","serverSendTime":"soon"}',
    b'{"serverRecvTime":null,"serverSendTime":[1]}',
    b'{"serverRecvTime":1e400,"serverSendTime":1e400}',
    b'{"serverRecvTime":-1e400,"serverSendTime":1}',
    b'{"serverRecvTime":1e39,"serverSendTime":1e39}',
    b'{"serverRecvTime":"' + b"9" * 400 + b'","serverSendTime":"0"}',
    b'{"serverRecvTime":"-1","serverSendTime":"-1"}',
    b'{"serverRecvTime":"0","serverSendTime":"0"}',
    b'{"serverRecvTime":"1796000000000","serverSendTime":"1796000000000"',
    b'{"serverRecvTime":"\\ud83d","serverSendTime":"1"}',
    b"[" * 1000 + b"]" * 1000,
]


def test_a_malformed_answer_of_the_time_service_does_no_harm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stays at the floor, and the session continues."""
    answers = iter(MALFORMED)

    def answer(gateways: Gateways, device: Identity, message: object) -> None:
        gateways.publish(device, f"/ext/ntp/{device}/response", next(answers))

    monkeypatch.setattr("tools.iot_platform.alink.services.answer_time", answer)
    main = (
        "import aliyun_iot\nfrom aliyun_iot import device, phase\ndef each(session):\n"
        f"    for number in range(1, {len(MALFORMED)}):\n"
        "        phase('network.ask', session)\n"
        "        print('asked', number, aliyun_iot.time_source)\n"
        "    print('all')\ndevice.run(each)\n"
    )
    (name,) = bench.devices(1)
    device = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": bench.secret_of(name)}
    image = bench.image(bench.product(productSecret=None), device=device, built=BUILT, main=main)
    board = bench.board(image, ntp="blocked")
    output = said(board, "^all$|trying again|Traceback")
    assert output.count(" floor\n") == len(MALFORMED) - 1, output
    assert BUILT <= board.clock < BUILT + DAY


def answer_with(bench: Bench, board: Board, date: str) -> None:
    """Prepare an answer to the board's registration with this Date header."""
    record = bench.platform.registry.device(PRODUCT_KEY, board.mac)
    data = {
        "deviceName": board.mac,
        "deviceSecret": record.device_secret,
        "productKey": PRODUCT_KEY,
    }
    body = json.dumps({"code": 200, "data": data, "message": "success"})
    bench.platform.faults.raw_http(
        f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def test_an_authenticated_date_moves_an_unset_clock_forward(bench: Bench) -> None:
    board = board_of(bench, "blocked")
    answer_with(bench, board, formatdate(BUILT + 300 * DAY, usegmt=True))
    said(board)
    assert BUILT + 300 * DAY <= board.clock < BUILT + 301 * DAY


@pytest.mark.parametrize(
    "date",
    [
        formatdate(BUILT - DAY, usegmt=True),
        formatdate(BUILT + 30 * YEAR, usegmt=True),
        "soon",
        "Sun, 06 Foo 2027 08:49:37 GMT",
        "Sunday, 06-Nov-27 08:49:37 GMT",
        "",
    ],
)
def test_a_wrong_or_earlier_date_is_ignored(bench: Bench, date: str) -> None:
    board = board_of(bench, "blocked")
    answer_with(bench, board, date)
    said(board)
    assert BUILT <= board.clock < BUILT + 100 * DAY


def test_a_date_does_not_move_a_clock_that_ntp_set(bench: Bench) -> None:
    board = board_of(bench, lies(BUILT + 50 * DAY))
    answer_with(bench, board, formatdate(BUILT + 300 * DAY, usegmt=True))
    said(board)
    assert board.clock < BUILT + 51 * DAY
