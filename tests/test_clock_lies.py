"""NTP that gives a wrong time, once or again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_clock import (
    BUILT,
    DAY,
    GUARD,
    WAITING,
    YEAR,
    board_of,
    lies,
    moment,
    said,
)
from test_clock import bench as bench
from test_clock import later as later

from tools.faults.bench import CONNECTED, Bench
from tools.iot_platform import Certificate, Problem


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A platform whose certificate is valid when the image is built and 500 days longer."""
    valid = Certificate(not_before=moment(BUILT - 100 * DAY), not_after=moment(BUILT + 500 * DAY))
    with Bench(tmp_path_factory.mktemp("present"), certificate=valid) as running:
        yield running


@pytest.mark.parametrize("warm", [False, True], ids=["running", "after a reset"])
def test_without_ntp_the_clock_goes_back_to_the_floor_after_a_wrong_time(
    present: Bench, warm: bool
) -> None:
    reset = "import machine\nif machine.reset_cause() == 1: print('reset'); machine.reset()\n"
    main = (reset if warm else "") + "from aliyun_iot import device\ndevice.run()\n"
    board = board_of(present, lies(BUILT + 5 * YEAR), main=main)
    with board.power_on(max_boots=2) as session:
        assert session.wait("reset" if warm else "has expired", GUARD) == "until", session.output
        board.ntp = "blocked"
        assert session.wait(CONNECTED, GUARD) == "until", session.output
    assert BUILT <= board.clock < BUILT + DAY


def test_an_expired_certificate_of_an_impostor_does_not_reset_a_correct_clock(
    tmp_path: Path,
) -> None:
    portal = Certificate(
        not_before=moment(BUILT - 100 * DAY),
        not_after=moment(BUILT + 10 * DAY),
        problem=Problem.OTHER_CA,
    )
    with Bench(tmp_path, certificate=portal) as bench:
        board = board_of(bench, lies(BUILT + 50 * DAY))
        with board.power_on() as session:
            assert session.wait("has expired", GUARD) == "until", session.output
            board.ntp = "blocked"
            assert session.wait("clock: no NTP", GUARD) == "until", session.output
            assert session.wait(WAITING, GUARD, session.matched) == "until", session.output
        assert BUILT + 50 * DAY <= board.clock < BUILT + 51 * DAY


# --- an NTP server that does not know the time, and one that is wrong again

ZERO = 2085978496
"""2036-02-07 06:28:16: how `ntptime` reads a zero timestamp, as in a kiss-of-death packet."""
EXPIRED = r"has expired; trying again.*\n"


@pytest.mark.parametrize(
    "told",
    [
        ZERO,
        ZERO - 3600,
        ZERO + 3600,  # a router that counts from zero when it starts
        ZERO + 300 * DAY,
        0,
        946684800,
        -2208988800,
        ZERO + 2208988800,  # 1970, which `ntptime` reads as part of the next era
        ZERO + 2208988800 + 946684800,
    ],
)
@pytest.mark.parametrize("built", [1_796_000_000, BUILT])
def test_the_time_of_a_server_that_does_not_know_it_is_not_believed(
    tmp_path: Path, told: int, built: int
) -> None:
    valid = Certificate(not_before=moment(built - 100 * DAY), not_after=moment(built + 500 * DAY))
    with Bench(tmp_path, certificate=valid) as bench:
        board = bench.board(bench.image(built=built), ntp=lies(told))
        output = said(board)
        assert "clock: NTP tells an impossible time" in output
        assert "trying again" not in output
        assert built <= board.clock < built + DAY


def test_in_2036_the_time_is_believed(bench: Bench) -> None:
    """On a board whose image was built shortly before."""
    board = bench.board(bench.image(built=ZERO - 100 * DAY), ntp=lies(ZERO + 10 * DAY))
    with board.power_on() as session:
        assert session.wait("connected as|trying again", GUARD) == "until", session.output
        assert "NTP" not in session.output
    assert board.clock >= ZERO + 10 * DAY


def test_a_time_that_made_certificates_expire_is_not_believed_again(present: Bench) -> None:
    board = board_of(present, lies(BUILT + 5 * YEAR))
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        assert session.output.count("has expired") == 1
        assert "that had proved wrong, not believed" in session.output
    assert BUILT <= board.clock < BUILT + DAY


def test_ntp_is_believed_again_when_the_floor_is_too_early(later: Bench, tmp_path: Path) -> None:
    """The old certificate has expired at the true time; the new one is not valid at the floor."""
    old = Certificate(not_before=moment(BUILT - 100 * DAY), not_after=moment(BUILT + 100 * DAY))
    with Bench(tmp_path, certificate=old) as stale:
        image = stale.image(
            built=BUILT, roots=[stale.platform.ca_der, later.platform.ca_der], product=None
        )
        board = later.board(image, ntp=lies(BUILT + 200 * DAY))
        with board.power_on() as session:
            assert session.wait(EXPIRED, GUARD) == "until", session.output
            board.resolve = {
                f"localhost:{stale.https.port}": f"127.0.0.1:{later.https.port}",
                f"localhost:{stale.mqtt.port}": f"127.0.0.1:{later.mqtt.port}",
            }
            assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
            assert "validity starts in the future" in session.output
        assert BUILT + 200 * DAY <= board.clock < BUILT + 201 * DAY
