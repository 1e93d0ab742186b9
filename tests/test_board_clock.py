"""The simulated board's clock is the interpreter's, so TLS uses it too."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme

from tools.board import Board
from tools.image import build_image

PRELUDE = """
import machine, network, ntptime, time
def online():
    wlan = network.WLAN(); wlan.active(True); wlan.connect('a', 'b')
    while not wlan.isconnected(): time.sleep_ms(1)
"""


def make_board(folder: Path, main: str, ntp: str = "ok") -> Board:
    image = build_image(boot=PRELUDE, main=main, lib=None, roots=[])
    return Board(image, folder, ntp=ntp)


def printed(board: Board) -> str:
    return board.boot(r"\n", timeout=10).output.partition("\n")[0]


def test_the_epoch_is_2000(tmp_path: Path) -> None:
    script = "print(time.gmtime(0), time.mktime((2000, 1, 2, 0, 0, 0, 0, 0)))"
    assert printed(make_board(tmp_path, script)) == "(2000, 1, 1, 0, 0, 0, 5, 1) 86400"


def test_power_on_sets_the_clock_to_2000(tmp_path: Path) -> None:
    script = "print(time.gmtime()[:3], time.time() < 5, time.localtime() == time.gmtime())"
    assert printed(make_board(tmp_path, script)) == "(2000, 1, 1) True True"


def test_setting_the_clock_does_not_change_the_ticks(tmp_path: Path) -> None:
    script = (
        "t, n = time.ticks_ms(), time.time_ns()\n"
        "machine.RTC().datetime((2030, 1, 1, 0, 0, 0, 0, 0)); time.sleep_ms(50)\n"
        "print(50 <= time.ticks_diff(time.ticks_ms(), t) < 5000, time.time_ns() - n > 9e17)"
    )
    assert printed(make_board(tmp_path, script)) == "True True"


def test_the_rtc_sets_the_clock(tmp_path: Path) -> None:
    script = (
        "machine.RTC().datetime((2027, 5, 6, 0, 7, 8, 9, 0))\n"
        "print(time.gmtime()[:6], machine.RTC().datetime()[:7])"
    )
    expected = "(2027, 5, 6, 7, 8, 9) (2027, 5, 6, 3, 7, 8, 9)"
    assert printed(make_board(tmp_path, script)) == expected


def test_ntp_sets_the_clock_to_now(tmp_path: Path) -> None:
    script = "online(); ntptime.settime(); print(time.time() + 946684800)"
    assert abs(int(printed(make_board(tmp_path, script))) - time.time()) < 5


def test_blocked_ntp_times_out(tmp_path: Path) -> None:
    board = make_board(tmp_path, "online(); ntptime.settime()", ntp="blocked")
    assert re.search(r"OSError: \[Errno 1[0-9]+\] ETIMEDOUT", board.boot().output)


def test_ntp_without_wifi_cannot_be_resolved(tmp_path: Path) -> None:
    assert "OSError: -202" in make_board(tmp_path, "ntptime.settime()").boot().output


@pytest.mark.parametrize("moment", ["2055-03-04 05:06:07", "2687749567"])
def test_ntp_can_give_a_wrong_time(tmp_path: Path, moment: str) -> None:
    script = "online(); ntptime.settime(); print(time.gmtime()[:4])"
    board = make_board(tmp_path, script, ntp=f"lies:{moment}")
    assert printed(board) == "(2055, 3, 4, 5)"


def test_an_unknown_behaviour_of_ntp_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ntp"):
        make_board(tmp_path, "", ntp="sometimes")


@pytest.mark.parametrize(("reset", "year"), [("soft_reset", 2031), ("reset", 2031)])
def test_the_clock_keeps_running_through_resets(tmp_path: Path, reset: str, year: int) -> None:
    script = (
        "print(time.gmtime()[0])\nif machine.reset_cause() == 1:\n"
        f"  machine.RTC().datetime((2031, 1, 1, 0, 0, 0, 0, 0)); machine.{reset}()"
    )
    run = make_board(tmp_path, script).boot(timeout=10, max_boots=2)
    assert f"\n{year}\n" in run.output


def test_a_power_cut_resets_the_clock(tmp_path: Path) -> None:
    script = "print(time.gmtime()[0])\nmachine.RTC().datetime((2031, 1, 1, 0, 0, 0, 0, 0))"
    board = make_board(tmp_path, script)
    assert printed(board) == "2000"
    assert printed(board) == "2000"


# --- certificates

NOW = datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serve(certificate: trustme.LeafCert, listener: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with suppress(OSError):
        while True:
            connection = listener.accept()[0]
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(b"hello")


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """A TLS server whose certificate is valid around the host's time, not in 2000."""
    certificate = authority.issue_cert(
        "iot.test", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(certificate, listener), daemon=True)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join(5)


CONNECT = """
import socket, ssl
def greeting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open('/roots/0.der', 'rb') as f: context.load_verify_locations(cadata=f.read())
    s = socket.socket()
    s.connect(socket.getaddrinfo('iot.test', 443)[0][-1])
    return context.wrap_socket(s, server_hostname='iot.test').read(5)
online()
"""


def tls_board(folder: Path, authority: trustme.CA, port: int, main: str) -> Board:
    der = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    image = build_image(boot=PRELUDE, main=CONNECT + main, lib=None, roots=[der])
    return Board(image, folder, resolve={"iot.test:443": f"127.0.0.1:{port}"})


def test_a_certificate_is_not_yet_valid_before_the_clock_is_set(
    tmp_path: Path, authority: trustme.CA, port: int
) -> None:
    run = tls_board(tmp_path, authority, port, "greeting()").boot()
    assert "ValueError: \nThe certificate validity starts in the future\n" in run.output


def test_a_certificate_is_valid_once_the_clock_is_set(
    tmp_path: Path, authority: trustme.CA, port: int
) -> None:
    board = tls_board(tmp_path, authority, port, "ntptime.settime(); print(greeting())")
    assert printed(board) == "b'hello'"


def test_a_certificate_has_expired_when_the_clock_is_ahead(
    tmp_path: Path, authority: trustme.CA, port: int
) -> None:
    board = tls_board(tmp_path, authority, port, "ntptime.settime(); greeting()")
    board.ntp = f"lies:{(NOW + timedelta(days=400)).timestamp()}"
    output = board.boot().output
    assert "ValueError: \nThe certificate validity has expired\n" in output
