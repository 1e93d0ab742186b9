"""Spare ports and roots: a fleet outlives the end of a root, and of a port, without a visit."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.board import Board
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.iot_platform import Certificate, LocalPlatform

GUARD = 90  # seconds after which it hangs, however busy the host
R1_ENDS = 1832716800  # 2028-01-28 12:00 UTC
DAY = 86400
WAITING = r"trying again in .*\n"
HOST = "shared.mqtt.iothub.aliyuncs.com"


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)


class TwoRoots:
    """The platform's ports behind two roots: the one that ends with R1, and one that goes on.

    Two local platforms share the registry in a file: `ends` is what port 443 is, `lasts` is 8883.
    """

    def __init__(self, folder: Path, lasts: Certificate) -> None:
        database = folder / "registry.db"
        ends = Certificate(not_after=moment(R1_ENDS))
        self.ends = Bench(folder / "boards", certificate=ends, database=database)
        self._lasts = lasts
        self._folder = folder / "certificates"
        self._database = database

    def __enter__(self) -> TwoRoots:
        self.ends.__enter__()
        # A folder of certificates makes a root of its own.
        self.lasts = LocalPlatform(
            certificate=self._lasts, database=self._database, certificates=self._folder
        ).start()
        assert self.lasts.ca_der != self.ends.platform.ca_der
        return self

    def __exit__(self, *exception: Any) -> None:
        self.lasts.stop()
        self.ends.__exit__(None, None, None)

    def board(self, now: float, **product: Any) -> Board:
        """A board with both roots, and this time from NTP."""
        first, spare = self.ends.platform, self.lasts
        fields = {"mqttHost": HOST, "mqttPort": 443, "spares": "8883", **product}
        image = self.ends.image(
            self.ends.product(**fields),
            roots=[first.ca_der, spare.ca_der],
            built=R1_ENDS - 99 * DAY,
        )
        names = {
            f"{HOST}:443": f"127.0.0.1:{first.mqtt_tls_port}",
            f"{HOST}:8883": f"127.0.0.1:{spare.mqtt_tls_port}",
            "*": "127.0.0.1",
        }
        return self.ends.board(image, resolve=names, ntp=f"lies:{int(now)}")

    def connected(self, board: Board, platform: LocalPlatform) -> int:
        return len(platform.record.events("connect", PRODUCT_KEY, board.mac, 0))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRoots]:
    """What lasts was issued after R1's end: it is not yet valid at the clock's floor."""
    folder = tmp_path_factory.mktemp("roots")
    lasts = Certificate(not_before=moment(R1_ENDS + DAY), not_after=moment(R1_ENDS + 9000 * DAY))
    with TwoRoots(folder, lasts) as running:
        yield running


def boot(board: Board, until: str = CONNECTED) -> str:
    result = board.boot(until, GUARD)
    assert result.ending == "until", result.output
    return result.output


def test_past_the_end_of_r1_a_board_comes_online_behind_the_other_root(roots: TwoRoots) -> None:
    board = roots.board(R1_ENDS - DAY)
    boot(board)
    assert roots.connected(board, roots.ends.platform) == 1
    board.ntp = f"lies:{R1_ENDS + 50 * DAY}"
    output = boot(board)
    assert "has expired" in output
    assert roots.connected(board, roots.lasts) == 1
    assert len(roots.ends.platform.record.events("register", PRODUCT_KEY, board.mac)) == 1


def test_a_board_that_is_online_when_r1_ends_comes_back_online(roots: TwoRoots) -> None:
    board = roots.board(R1_ENDS - DAY)
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        main = "import machine; machine.RTC().datetime((2028, 3, 1, 2, 0, 0, 0, 0))"
        session.send("\x03")
        assert session.wait(None, GUARD, session.matched) == "repl"
        session.repl(main)
        session.send("from aliyun_iot import device; device.run()\r")
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
        assert "has expired" in session.output
        roots.lasts.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
    assert roots.connected(board, roots.lasts) == 2, "where it was good it stays"


def test_ntp_that_lies_is_still_found_out_when_every_port_seems_expired(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lasts = Certificate(not_after=moment(R1_ENDS + DAY))
    with TwoRoots(tmp_path_factory.mktemp("lies"), lasts) as roots:
        board = roots.board(R1_ENDS - DAY)
        boot(board)
        board.ntp = f"lies:{R1_ENDS + 400 * DAY}"
        output = boot(board)
        assert "a time that had proved wrong" in output or "no NTP" in output
        assert output.count("has expired") == 2


def test_a_spare_that_does_not_verify_is_not_used(roots: TwoRoots) -> None:
    board = roots.board(R1_ENDS - DAY)
    boot(board)
    board.write("/roots/1.der", None)
    board.ntp = f"lies:{R1_ENDS + 50 * DAY}"
    before = roots.connected(board, roots.lasts)
    with board.power_on() as session:
        assert session.wait("not correctly signed", GUARD) == "until", session.output
    assert roots.connected(board, roots.lasts) == before


def test_ports_are_tried_in_order_and_the_one_that_serves_is_kept(roots: TwoRoots) -> None:
    board = roots.board(R1_ENDS + 50 * DAY, mqttPort=444, spares="445 443 8883")
    board.resolve = {
        f"{HOST}:444": "127.0.0.1:1",
        f"{HOST}:445": "127.0.0.1:1",
        **board.resolve,
    }
    board.ntp = f"lies:{R1_ENDS - DAY}"
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        assert [
            line.split(":")[-1] for line in session.output.splitlines() if "next:" in line
        ] == [
            "445",
            "443",
        ]
        roots.ends.platform.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
        assert session.output.count("next:") == 2


def test_registration_has_spare_endpoints_too(roots: TwoRoots) -> None:
    spare = f"8883 localhost:{roots.lasts.https_port}"
    board = roots.board(R1_ENDS + 50 * DAY, spares=spare)
    output = boot(board)
    assert "has expired" in output
    assert roots.connected(board, roots.lasts) == 1


def test_past_the_end_of_r1_bootstrap_does_not_keep_a_board_offline(roots: TwoRoots) -> None:
    """Bootstrap itself is behind the root that has ended, and so is what it told."""
    platform = roots.ends.platform
    (name,) = platform.instances
    platform.instances[name] = dataclasses.replace(platform.instances[name], host=HOST)
    endpoint = f"localhost:{platform.https_port}"
    board = roots.board(R1_ENDS - DAY, bootstrap=True, bootstrapHost=endpoint)
    assert f"told {HOST}:{platform.mqtt_tls_port}" in boot(board)
    board.ntp = f"lies:{R1_ENDS + 50 * DAY}"
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until", session.output
        assert "has expired" in session.output
        roots.lasts.disconnect(PRODUCT_KEY, board.mac)
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output
    assert roots.connected(board, roots.lasts) == 2
    assert len(platform.record.events("register", PRODUCT_KEY, board.mac)) == 1
    assert board.boot(CONNECTED, GUARD).ending == "until", "from what is on flash, too"


@pytest.mark.parametrize("spares", ["x:y", "0", "65536", "host:0", "http://host", "8883,443"])
def test_spares_that_are_none_are_said(roots: TwoRoots, spares: str) -> None:
    board = roots.board(R1_ENDS - DAY, spares=spares)
    output = boot(board, r"stopped: .*\n")
    assert "product.json: spares: expected ports, or host:port" in output
