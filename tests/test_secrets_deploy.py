"""Deploying and provisioning show no secret: said, started, reported, or sent back by a board."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serial_boards import PlugIn, run_tool
from test_secrets_tools import (
    DEVICE_SECRETS,
    IDENTITY,
    KEY,
    PASSWORD,
    PRODUCT,
    PRODUCT_SECRET,
    records,
)
from test_secrets_tools import watched as watched
from watched_tools import Watched

from tools.deploy import DeployError, Mpremote
from tools.image import image_files
from tools.image.records import check_of
from tools.iot_platform import LocalPlatform

PACKAGE = "/lib/aliyun_iot/device.mpy"
DEVICE = "246f28aabbd0"
FILES = ("product.json", "wifi.json")


@pytest.fixture(scope="module")
def package() -> dict[str, bytes]:
    """A board that holds the package already: what is left to write is quickly written."""
    return image_files(roots=None)


def identity() -> bytes:
    return json.dumps({**IDENTITY, "check": check_of(IDENTITY)}).encode()


def test_a_deployment_shows_no_secret(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes]
) -> None:
    board = plug_in(package)
    words = [*records(watched, "product", "wifi"), "--port", board.port]
    done = watched.run("tools.deploy", *words, "--no-follow")
    assert done.status == 0, done.output
    assert PRODUCT_SECRET.encode() in (board.read("/product.json") or b"")
    assert "/product.json" in done.output
    journal = watched.journal()
    assert "mpremote" in journal and ":/product.json.part" in journal


def online(watched: Watched, platform: LocalPlatform) -> dict[str, Any]:
    """Let product.json lead to the platform, where DEVICE can register: settings for `Board`."""
    watched.secrets.watch(platform)
    platform.registry.add_product(KEY, PRODUCT_SECRET)
    platform.registry.add_device(KEY, DEVICE)
    ports = {"registerPort": platform.https_port, "mqttPort": platform.mqtt_tls_port}
    hosts = {"registerHost": "localhost", "mqttHost": "localhost"}
    watched.file("product.json", json.dumps({**PRODUCT, **hosts, **ports}))
    watched.file("platform.der", platform.ca_der)
    return {"mac": DEVICE, "resolve": {"*": "127.0.0.1"}}


def test_a_deployment_that_follows_the_log_shows_no_secret(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes]
) -> None:
    with LocalPlatform() as platform:
        board = plug_in(package, **online(watched, platform))
        words = [*records(watched, "product", "wifi"), "--port", board.port]
        root = watched.folder / "platform.der"
        done = watched.run("tools.deploy", *words, "--root", root, "--settle", "1")
        assert done.status == 0, done.output
        assert f"connected as {DEVICE}" in done.output
        secret = platform.registry.device(KEY, DEVICE).device_secret
        assert secret.encode() in (board.read("/device.json") or b"")
        assert watched.secrets.seen_in(secret) == ["DeviceSecret"]


def test_monitoring_a_board_that_registers_and_connects_shows_no_secret(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes]
) -> None:
    """Its application waits for a key, pressed once somebody listens, to come online."""
    with LocalPlatform() as platform:
        settings = online(watched, platform)
        files = {f"/{name}": (watched.folder / name).read_bytes() for name in FILES}
        main = b"import sys\nfrom aliyun_iot import device\nsys.stdin.read(1)\ndevice.run()\n"
        roots = {"/roots/platform.der": platform.ca_der}
        board = plug_in({**package, **files, **roots, "/main.py": main}, **settings)
        words = ("tools.deploy", "monitor", "--port", board.port, "--wait", "0")
        listens = threading.Event()

        def press() -> None:
            assert listens.wait(60) and board.line is not None
            board.line.type(b"x")

        hand = threading.Thread(target=press)
        hand.start()
        with board.unplugged_later() as now:
            done = run_tool(
                *words,
                watch=now,
                until="connected as",
                then=(listens, "the board's log"),
                variables=watched.environment(),
            )
        hand.join()
    watched.check(done.output)
    assert f"connected as {DEVICE}" in done.output


def test_reading_names_for_preregistration_shows_no_secret(
    plug_in: PlugIn, watched: Watched
) -> None:
    product = (watched.folder / "product.json").read_bytes()
    boards = [plug_in({"/product.json": product, "/device.json": identity()}) for _ in range(2)]
    boards[1].unplug()
    names = watched.folder / "names.csv"
    ports = [word for board in boards for word in ("--port", board.port)]
    done = watched.run("tools.provision", "preregister", *ports, "--output", names)
    assert done.status == 1
    assert "246f28aabb00" in names.read_text()
    assert boards[1].port in done.output


def test_an_identity_is_shown_masked_and_erased_without_a_word_of_it(
    plug_in: PlugIn, watched: Watched
) -> None:
    torn = identity()[:-30]
    files = {
        "/device.json": identity(),
        "/device.json.new": torn,
        "/product.json": (watched.folder / "product.json").read_bytes(),
        "/wifi.json": json.dumps(
            {"networks": [{"ssid": "hall", "password": PASSWORD}] * 2}
        ).encode(),
    }
    board = plug_in(files)
    shown = watched.run("tools.deploy", "identity", "--port", board.port)
    assert f"set, {len(DEVICE_SECRETS[0])} characters" in shown.output
    assert f"set, {len(PASSWORD)} characters" in shown.output
    erased = watched.run("tools.deploy", "erase-identity", "--port", board.port, typed="y\n")
    assert erased.status == 0, erased.output
    assert board.read("/device.json") is None


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_a_deployment_that_stops_half_way_leaves_no_secret_behind(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes], error: str
) -> None:
    """Files for the board are written already; the program that copies them is not started."""
    board = plug_in(package)
    words = [*records(watched, "product", "wifi"), "--port", board.port, "--no-follow"]
    crash = f"{error} subprocess.Popen product.json.part"
    assert watched.run("tools.deploy", *words, crash=crash).status != 0
    assert board.read("/product.json") is None


def test_a_production_run_shows_no_secret_in_log_report_or_output(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes]
) -> None:
    boards = [plug_in(package), plug_in(package, firmware="1.22.0")]
    other = {**IDENTITY, "deviceSecret": DEVICE_SECRETS[2]}
    boards.append(plug_in({**package, "/device.json": json.dumps(other).encode()}))
    ports = [word for board in boards for word in ("--port", board.port)]
    csv, page = watched.folder / "devices.csv", watched.folder / "report.html"
    words = [csv, *ports, *records(watched, "wifi"), "--report", page]
    done = watched.run("tools.provision", *words)
    assert done.status == 1
    assert "1 done, 0 done before, 2 failed" in done.output
    assert DEVICE_SECRETS[0].encode() in (boards[0].read("/device.json") or b"")
    log = watched.folder / "devices.csv.log.jsonl"
    for shown in (log.read_text(), page.read_text()):
        assert "another identity" in shown and "too old" in shown
        assert watched.secrets.seen_in(shown) == []


@pytest.mark.parametrize("error", ["RuntimeError", "OSError"])
def test_a_production_run_that_breaks_down_logs_no_secret(
    plug_in: PlugIn, watched: Watched, package: dict[str, bytes], error: str
) -> None:
    board = plug_in(package)
    csv = watched.folder / "devices.csv"
    environment = watched.environment(f"{error} subprocess.Popen device.json.part")
    done = run_tool("tools.provision", csv, "--port", board.port, variables=environment)
    watched.check(done.output)
    assert f"internal error: {error}" in done.output
    log = (watched.folder / "devices.csv.log.jsonl").read_text()
    assert f"internal error: {error}" in log and watched.secrets.seen_in(log) == []


@contextlib.contextmanager
def garbling(port: str, folder: Path, answer: bytes) -> Iterator[str]:
    """A line to the board at `port` that loses bytes of the copy of a secret.

    The board then answers the piece that holds it with `answer`: yields the port to use.
    """
    master, slave = os.openpty()
    board = os.open(port, os.O_RDWR | os.O_NOCTTY)
    for line in (slave, board):
        tty.setraw(line)
    stop_read, stop_write = os.pipe()

    def relay() -> None:
        sent = b""  # the secret may come in two pieces
        while True:
            ready, _, _ = select.select([master, board, stop_read], [], [])
            if stop_read in ready:
                return
            if board in ready:
                os.write(master, os.read(board, 4096))
            if master in ready:
                data = os.read(master, 4096)
                sent = sent[-len(PRODUCT_SECRET) :] + data
                if PRODUCT_SECRET.encode() in sent:
                    os.write(master, answer)
                else:
                    os.write(board, data)

    thread = threading.Thread(target=relay)
    thread.start()
    path = folder / "ttyGARBLED"
    path.symlink_to(os.ttyname(slave))
    try:
        yield str(path)
    finally:
        os.write(stop_write, b"x")
        thread.join()
        for descriptor in (master, slave, board, stop_read, stop_write):
            os.close(descriptor)


def test_what_a_board_says_of_a_garbled_copy_is_not_repeated(
    plug_in: PlugIn, watched: Watched, tmp_path: Path
) -> None:
    """A lost quote makes a name of a secret, and the board's error names it."""
    error = f"Traceback:\r\nNameError: name '{PRODUCT_SECRET}' isn't defined\r\n"
    board = plug_in()
    answer = b"\x04\x04" + error.encode() + b"\x04>"
    with (
        garbling(board.port, tmp_path, answer) as port,
        Mpremote(port) as remote,
        pytest.raises(DeployError) as caught,
    ):
        product = str(watched.folder / "product.json")
        remote.run(["fs", "cp", "-f", product, ":/product.json.part"])
    assert "NameError" in str(caught.value)
    watched.check(f"{caught.value}")


@pytest.mark.parametrize(
    "said",
    [
        'mpremote: could not complete raw paste: b\'w(b\\\'{"productSecret":"%s"}\'',
        "mpremote: could not exec command (response: b'%s')",
        "Traceback:\nValueError: malformed node or string: '%s'",
        "Traceback:\nSyntaxError: %s",
        "%s",
    ],
)
def test_what_mpremote_repeats_of_what_was_sent_is_not_shown(watched: Watched, said: str) -> None:
    """As where a board is reset in the middle of a copy and its REPL echoes the rest."""
    with Mpremote("/dev/null") as remote:
        said %= PRODUCT_SECRET
        text = remote._explain(said)
    assert text.startswith("/dev/null: ")
    watched.check(text)
