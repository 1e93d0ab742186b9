"""The simulated board imitates differences between releases, and the chip's C library."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import needs_own

from tools.board import Board
from tools.image import build_image

ONLINE = """
import errno, network, socket, time
wlan = network.WLAN()
wlan.active(True)
def online():
    wlan.connect('home', '')
    while not wlan.isconnected(): time.sleep_ms(1)
def error(function, *arguments):
    try: function(*arguments)
    except OSError as e: return e.errno
"""


def said(folder: Path, main: str, port: int = 1, firmware: str = "1.29.0") -> str:
    """The first line that the board prints."""
    image = build_image(boot=ONLINE, main=main, lib=None, roots=[])
    board = Board(image, folder, resolve={"*": f"127.0.0.1:{port}"}, firmware=firmware)
    return board.boot(r"\n", timeout=15).output.partition("\n")[0]


# --- error numbers

CHIP_NUMBERS = {
    "EADDRINUSE": 112,
    "ECONNABORTED": 113,
    "ECONNREFUSED": 111,
    "ECONNRESET": 104,
    "EHOSTUNREACH": 118,
    "EINPROGRESS": 119,
    "ENOTCONN": 128,
    "ETIMEDOUT": 116,
    "ENOENT": 2,
    "EIO": 5,
    "EAGAIN": 11,
    "ENOMEM": 12,
}


@needs_own
@pytest.mark.parametrize(("name", "number"), CHIP_NUMBERS.items())
def test_the_module_errno_has_the_chips_numbers(tmp_path: Path, name: str, number: int) -> None:
    script = f"print(errno.{name}, errno.errorcode.get({number}), OSError({number}))"
    assert said(tmp_path, script) == f"{number} {name} [Errno {number}] {name}"


@needs_own
def test_a_refused_connection_and_a_timeout_have_the_chips_numbers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = (
            "online(); nobody = socket.getaddrinfo('127.0.0.1', 1)[0][-1]\n"
            "print(error(socket.socket().connect, nobody), end=' ')\n"
            "s = socket.socket(); s.connect(socket.getaddrinfo('iot.test', 443)[0][-1])\n"
            "s.settimeout(0.05); print(error(s.read, 1))"
        )
        assert said(tmp_path, script, server.getsockname()[1]) == "111 116"


@needs_own
def test_a_connection_in_progress_has_the_chips_number(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = (
            "online(); s = socket.socket(); s.setblocking(False)\n"
            "print(error(s.connect, socket.getaddrinfo('iot.test', 443)[0][-1]))"
        )
        assert said(tmp_path, script, server.getsockname()[1]) == "119"


@needs_own
def test_an_oserror_that_the_program_raises_keeps_its_number(tmp_path: Path) -> None:
    script = "def fail(): raise OSError(110)\nprint(error(fail), OSError(113).errno)"
    assert said(tmp_path, script) == "110 113"


# --- sockets


@needs_own
def test_there_is_no_route_before_wifi_has_an_address(tmp_path: Path) -> None:
    script = (
        "somebody = socket.getaddrinfo('127.0.0.1', 1)[0][-1]\n"
        "print(error(socket.socket().connect, somebody) == errno.EHOSTUNREACH)"
    )
    assert said(tmp_path, script) == "True"


@needs_own
def test_there_are_ten_sockets(tmp_path: Path) -> None:
    script = (
        "held = [socket.socket() for _ in range(10)]\nprint(error(socket.socket), end=' ')\n"
        "held.pop().close(); held.append(socket.socket()); print(len(held))"
    )
    assert said(tmp_path, script) == "23 10"  # ENFILE


def test_a_name_has_one_address(tmp_path: Path) -> None:
    assert said(tmp_path, "online(); print(len(socket.getaddrinfo('iot.test', 443)))") == "1"


# --- TLS before 1.28 passes errors on with a negative number


@pytest.fixture
def silent_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A TLS server that is silent after the handshake, or resets the connection on `reset`."""
    import ssl
    import struct

    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("iot.test").configure_cert(context)

    def serve(listener: socket.socket) -> None:
        plain = listener.accept()[0]
        with context.wrap_socket(plain, server_side=True) as stream:
            if stream.recv(10) == b"reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                stream.recv(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]


TLS = """
import tls
online()
s = socket.socket()
s.connect(socket.getaddrinfo('iot.test', 443)[0][-1])
s.settimeout(0.2)
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_NONE
stream = context.wrap_socket(s, server_hostname='iot.test')
"""


@needs_own
@pytest.mark.parametrize(
    ("firmware", "sign"),
    [("1.23.0", -1), ("1.25.0", -1), ("1.27.0", -1), ("1.28.0", 1), ("1.29.0", 1)],
)
@pytest.mark.parametrize(("word", "number"), [("quiet", 116), ("reset", 104)])
def test_tls_passes_an_error_on_as_that_release_does(
    tmp_path: Path, silent_server: int, firmware: str, sign: int, word: str, number: int
) -> None:
    script = TLS + f"stream.write(b'{word}'); print(error(stream.read, 1))"
    assert said(tmp_path, script, silent_server, firmware) == str(sign * number)


# --- JSON before 1.26


def loaded(folder: Path, text: str, firmware: str) -> str:
    script = (
        "import json, io\nfor f in json.loads, lambda t: json.load(io.StringIO(t)):\n"
        "    try: print(f(TEXT), end=';')\n    except ValueError: print('refused', end=';')\n"
        "print()"
    )
    return said(folder, script.replace("TEXT", repr(text)), firmware=firmware)


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ('{"keepalive":120', "{'keepalive': 120}"),
        ('{"a": 1, ', "{'a': 1}"),
        ('{"a":', "{}"),
        ("{", "{}"),
        ("[1, 2", "[1, 2]"),
        ('{"a": {"b": 1}', "{'a': {'b': 1}}"),
        ('{"a": {"b": 1', "refused"),
        ('{"a": "b', "refused"),
        ('{"a": tru', "refused"),
        ("", "refused"),
        ('{"a": "}\\\\\\"["', "{'a': '}\\\\\"['}"),
    ],
)
@pytest.mark.parametrize("firmware", ["1.23.0", "1.25.0", "1.26.0"])
def test_truncated_json_is_read_as_in_that_release(
    tmp_path: Path, text: str, old: str, firmware: str
) -> None:
    right = "refused" if firmware == "1.26.0" else old
    assert loaded(tmp_path, text, firmware) == f"{right};{right};"


@pytest.mark.parametrize("firmware", ["1.23.0", "1.28.0"])
def test_complete_json_is_read_the_same_in_all_releases(tmp_path: Path, firmware: str) -> None:
    assert loaded(tmp_path, ' {"a": [1, {"b": null}]}\n', firmware) == (
        "{'a': [1, {'b': None}]};" * 2
    )
    assert loaded(tmp_path, '{"a": 1}}', firmware) == "refused;refused;"
