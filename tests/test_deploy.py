"""`make deploy` and the related commands, with the real mpremote on a serial line to a board."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path

import pytest
from conftest import MAC, PRODUCT_KEY, PRODUCT_SECRET, WIFI, product_of
from serial_boards import PlugIn, run_tool

from tools.bench.budgets import BUDGETS
from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy.ports import LISTING
from tools.image import build_image, image_files
from tools.image.gateway import without_gateway
from tools.image.records import check_of, with_check
from tools.iot_platform import LocalPlatform

SECRET = "deviceSecretThatMustNotShow"
IDENTITY = {"productKey": PRODUCT_KEY, "deviceName": "SN-0042", "deviceSecret": SECRET}
IDENTITY["check"] = check_of(IDENTITY)
DEVICE = json.dumps(IDENTITY).encode()
PRODUCT = json.dumps({"productKey": PRODUCT_KEY, "productSecret": PRODUCT_SECRET}).encode()
MAIN = b"print('application')\n"


def package() -> dict[str, bytes | None]:
    """What a board holds after a deployment without product.json and wifi.json."""
    return {**image_files(roots=None), "/main.py": MAIN}


def deploy(port: str, *arguments: str | Path) -> tuple[int, str]:
    run = run_tool("tools.deploy", "--port", port, "--no-follow", *arguments)
    return run.status, run.output


def test_a_blank_board_gets_the_package_and_its_files_and_connects(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    product, wifi, root = tmp_path / "p.json", tmp_path / "w.json", tmp_path / "own.der"
    product.write_text(json.dumps(product_of(platform)))
    wifi.write_text(json.dumps(WIFI))
    root.write_bytes(platform.ca_der)
    blank = build_image(lib=None, boot=None, main=None, roots=[], files={})
    board = Board(blank, tmp_path / "board", MAC, resolve={"*": "127.0.0.1"})
    with SerialPort(board) as line:
        link(line.path, tmp_path / "tty")
        arguments = ("--product", product, "--wifi", wifi, "--root", root)
        run = run_tool("tools.deploy", "--port", tmp_path / "tty", "--settle", "1", *arguments)
    assert run.status == 0, run.output
    assert f"connected as {MAC}" in run.output
    expected = without_gateway(image_files(product, wifi, roots=None))
    assert set(board.files()) == {*expected, "/roots/own.der", "/device.json"}
    assert json.loads(board.read("/product.json") or b"") == with_check(product_of(platform))
    secret = platform.registry.device(PRODUCT_KEY, MAC).device_secret
    for hidden in (PRODUCT_SECRET, WIFI["password"], secret):
        assert hidden not in run.output
    # After a copy file by file, the logs of the folders are longer than in an image.
    assert board.boot(f"connected as {MAC}").flash.reads <= BUDGETS["flash.reads.deployed"].limit


def test_a_second_deployment_copies_only_what_changed(plug_in: PlugIn, tmp_path: Path) -> None:
    older = {"/lib/aliyun_iot/hmac.mpy": b"of an older release", "/build.json": b'{"time":0}'}
    board = plug_in({**package(), **older})
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    status, output = deploy(board.port, "--main", main)
    assert status == 0, output
    assert "/lib/aliyun_iot/hmac.mpy" in output
    assert "2 files copied" in output, "hmac.mpy, and build.json with the new date"
    assert board.read("/lib/aliyun_iot/hmac.mpy") == package()["/lib/aliyun_iot/hmac.mpy"]
    status, output = deploy(board.port, "--main", main)
    assert "0 files copied" in output


def test_stale_files_are_removed_and_the_identity_is_kept(plug_in: PlugIn, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    stale = {
        "/lib/aliyun_iot/hmac.py": b"hides hmac.mpy",
        "/lib/aliyun_iot/gone.mpy": b"of an older release",
        "/lib/aliyun_iot/wire.mpy.part": b"of an interrupted copy",
        "/roots/retired.der": b"no longer trusted",
    }
    kept = {"/device.json": DEVICE, "/device.json.new": b"{", "/data.txt": b"of the application"}
    board = plug_in({**package(), **stale, **kept})
    status, output = deploy(board.port, "--main", main)
    assert status == 0, output
    assert not set(stale) & board.files()
    assert {path: board.read(path) for path in kept} == kept
    for path in stale:
        assert f"removed {path}" in output


def test_monitor_follows_the_log_and_leaves_the_board_running(plug_in: PlugIn) -> None:
    board = plug_in(
        {"/main.py": b"import time\nn = 0\nwhile 1:\n print('t', n)\n n += 1\n time.sleep(.05)\n"}
    )
    if board.simulated is None:
        pytest.skip("a real board does not run main.py after its files were written")
    with board.unplugged_later() as now:
        run = run_tool(
            "tools.deploy", "monitor", "--port", board.port, "--wait", "0", watch=now, until="5\n"
        )
    ticks = [int(tick) for tick in re.findall(r" t (\d+)\n", run.output)]
    assert ticks and ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    assert "the board was unplugged" in run.output


def test_identity_shows_what_the_board_holds_with_secrets_masked(plug_in: PlugIn) -> None:
    board = plug_in(
        {"/device.json": DEVICE, "/product.json": PRODUCT, "/wifi.json": json.dumps(WIFI).encode()}
    )
    run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert run.status == 0, run.output
    assert "registered as SN-0042" in run.output
    assert PRODUCT_KEY in run.output
    assert f"set, {len(SECRET)} characters" in run.output
    for hidden in (SECRET, PRODUCT_SECRET, WIFI["password"]):
        assert hidden not in run.output


@pytest.mark.parametrize(
    ("content", "state"),
    [(b"", "empty"), (DEVICE[:40], "not JSON"), (DEVICE.replace(b"42", b"43"), "damaged")],
)
def test_identity_says_what_is_wrong_with_a_damaged_record(
    plug_in: PlugIn, content: bytes, state: str
) -> None:
    board = plug_in({"/device.json": content})
    run = run_tool("tools.deploy", "identity", "--port", board.port)
    assert "not registered" in run.output
    assert state in run.output
    assert SECRET not in run.output


def test_erase_identity_asks_first(plug_in: PlugIn) -> None:
    board = plug_in({"/device.json": DEVICE})
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port, typed="n\n")
    assert run.status == 1
    assert "SN-0042" in run.output
    assert board.read("/device.json") == DEVICE


def test_erase_identity_removes_the_record_and_its_new_version(plug_in: PlugIn) -> None:
    board = plug_in({"/device.json": DEVICE, "/device.json.new": DEVICE, "/product.json": PRODUCT})
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port, typed="y\n")
    assert run.status == 0, run.output
    assert not {"/device.json", "/device.json.new"} & board.files()
    assert board.read("/product.json") == PRODUCT


def test_erase_identity_of_a_board_without_one_changes_nothing(plug_in: PlugIn) -> None:
    board = plug_in({"/product.json": PRODUCT})
    run = run_tool("tools.deploy", "erase-identity", "--port", board.port)
    assert run.status == 0
    assert "holds no identity" in run.output


def test_the_content_of_a_secret_file_is_never_an_argument(
    plug_in: PlugIn, tmp_path: Path
) -> None:
    """The arguments of a process are visible to every user."""
    product = tmp_path / "p.json"
    product.write_bytes(PRODUCT)
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    board = plug_in(package())
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    status, output = deploy(board.port, "--main", main, "--product", product)
    done.set()
    watcher.join()
    assert status == 0, output
    written = json.loads(board.read("/product.json") or b"")
    assert written == with_check(json.loads(PRODUCT))
    assert any(b"mpremote" in arguments for arguments in seen)
    assert not any(PRODUCT_SECRET.encode() in arguments for arguments in seen)


def test_two_boards_are_listed_and_none_is_chosen(tmp_path: Path) -> None:
    listing = tmp_path / "ports"
    listing.write_text(
        "/dev/ttyUSB0 0001 10c4:ea60 Silicon Labs CP2102\n/dev/ttyUSB1 None 1a86:7523 None CH340\n"
    )
    run = run_tool("tools.deploy", variables={LISTING: str(listing)})
    assert run.status == 1
    assert "/dev/ttyUSB0" in run.output and "/dev/ttyUSB1" in run.output
    assert "PORT=" in run.output


def test_two_boards_with_the_same_serial_number_are_distinguished_by_port(
    plug_in: PlugIn, tmp_path: Path
) -> None:
    first = plug_in({"/device.json": DEVICE})
    second = plug_in({"/device.json": DEVICE})
    if first.simulated is None:
        pytest.skip("needs simulated boards")
    listing = tmp_path / "ports"
    line = "{} 0001 10c4:ea60 Silicon Labs CP2102\n"
    listing.write_text(line.format(first.port) + line.format(second.port))
    arguments = ("erase-identity", "--yes", "--port", "id:0001")
    run = run_tool("tools.deploy", *arguments, variables={LISTING: str(listing)})
    assert run.status == 1
    assert "2 boards have the serial number 0001" in run.output
    run = run_tool("tools.deploy", "erase-identity", "--yes", "--port", second.port)
    assert run.status == 0
    assert first.read("/device.json") == DEVICE
    assert second.read("/device.json") is None


def test_the_only_board_needs_no_port(plug_in: PlugIn, tmp_path: Path) -> None:
    board = plug_in({"/device.json": DEVICE})
    listing = tmp_path / "ports"
    listing.write_text(f"{board.port} None 1a86:7523 None CH340\n")
    run = run_tool("tools.deploy", "identity", variables={LISTING: str(listing)})
    assert "registered as SN-0042" in run.output


def test_the_board_state_has_the_digest_of_each_file_on_the_flash(plug_in: PlugIn) -> None:
    from tools.deploy import Mpremote, read_state

    board = plug_in({"/main.py": MAIN})
    with Mpremote(board.port) as remote:
        state = read_state(remote, ["/"], ["/main.py"])
    assert state.files["/main.py"].sha256 == hashlib.sha256(MAIN).hexdigest()
    assert state.files["/main.py"].size == len(MAIN)
