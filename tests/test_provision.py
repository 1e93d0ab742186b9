"""Provisioning, with real mpremote on serial lines to several boards at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import MAC, PRODUCT_KEY, PRODUCT_SECRET, WIFI, product_of
from serial_boards import PlugIn, ToolRun, run_tool

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.image import build_image, image_files
from tools.image.records import check_of, with_check
from tools.iot_platform import LocalPlatform

SECRETS = ["secretOfTheFirstUnit", "secretOfTheSecondUnit", "secretOfTheThirdUnit"]
PRODUCT = {"productKey": PRODUCT_KEY, "productSecret": PRODUCT_SECRET}


def package() -> dict[str, bytes]:
    """A board that holds the package already: what is left to write is quickly written."""
    return image_files(roots=None)


def device_json(number: int, secret: str) -> dict[str, str]:
    record = {
        "productKey": PRODUCT_KEY,
        "deviceName": f"SN-000{number}",
        "deviceSecret": secret,
    }
    return {**record, "check": check_of(record)}


@pytest.fixture
def unique_csv(tmp_path: Path) -> Path:
    """Three units with device certificates, and a column of metadata."""
    rows = [f"SN-000{n},{PRODUCT_KEY},{SECRETS[n]},batch 7" for n in range(3)]
    path = tmp_path / "devices.csv"
    path.write_text("\n".join(["deviceName,productKey,deviceSecret,batch", *rows]) + "\n")
    return path


@pytest.fixture
def product_csv(tmp_path: Path) -> Path:
    """Units that are told apart by an id only."""
    path = tmp_path / "units.csv"
    path.write_text("id\n1001\n1002\n1003\n")
    return path


@pytest.fixture
def product_file(tmp_path: Path) -> Path:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(PRODUCT))
    return path


def provision(csv: Path, ports: Sequence[str], *arguments: str | Path) -> ToolRun:
    options = [text for port in ports for text in ("--port", port)]
    return run_tool("tools.provision", csv, *options, *arguments)


def logged(csv: Path) -> list[dict[str, Any]]:
    path = csv.with_name(csv.name + ".log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def statuses(csv: Path) -> list[tuple[str, int]]:
    return [(entry["status"], entry["unit"]) for entry in logged(csv)]


def assert_no_secret(csv: Path, run: ToolRun, *files: Path) -> None:
    texts = [run.output, csv.with_name(csv.name + ".log.jsonl").read_text()]
    texts += [file.read_text() for file in files]
    for secret in (*SECRETS, PRODUCT_SECRET, WIFI["password"]):
        assert not any(secret in text for text in texts)


def test_each_board_gets_a_row_of_its_own_with_its_check(
    plug_in: PlugIn, unique_csv: Path
) -> None:
    boards = [plug_in(package()), plug_in(package())]
    run = provision(unique_csv, [board.port for board in boards])
    assert run.status == 0, run.output
    assert "2 done" in run.output
    got = [json.loads(board.read("/device.json") or b"{}") for board in boards]
    wanted = [device_json(0, SECRETS[0]), device_json(1, SECRETS[1])]
    assert sorted(got, key=lambda record: str(record["deviceName"])) == wanted
    done = {e["mac"]: e["name"] for e in logged(unique_csv) if e["status"] == "done"}
    assert sorted(done.values()) == ["SN-0000", "SN-0001"]
    assert_no_secret(unique_csv, run)


def test_a_board_is_named_and_done_by_its_mac(plug_in: PlugIn, unique_csv: Path) -> None:
    board = plug_in(package())
    run = provision(unique_csv, [board.port])
    assert run.status == 0, run.output
    begun, done = logged(unique_csv)
    assert (begun["status"], done["status"]) == ("started", "done")
    assert len(done["mac"]) == 12 and done["mac"] in run.output
    assert done["package"] and done["firmware"].startswith("MicroPython 1.")


def test_a_row_with_a_mac_waits_for_that_board(plug_in: PlugIn, unique_csv: Path) -> None:
    board = plug_in(package(), mac="24:6f:28:00:00:07")
    macs = ["24-6F-28-00-00-06", "24:6f:28:00:00:07", ""]
    lines = unique_csv.read_text().splitlines()
    lines = [lines[0] + ",MAC"] + [
        f"{line},{mac}" for line, mac in zip(lines[1:], macs, strict=True)
    ]
    unique_csv.write_text("\n".join(lines))
    run = provision(unique_csv, [board.port])
    assert run.status == 0, run.output
    assert json.loads(board.read("/device.json") or b"{}") == device_json(1, SECRETS[1])


def test_a_stale_successor_of_an_older_identity_goes(plug_in: PlugIn, unique_csv: Path) -> None:
    """A whole device.json.new would win over what the factory wrote at the next boot."""
    old = json.dumps(device_json(9, "older")).encode()
    files: dict[str, bytes | None] = {**package(), "/device.json.new": old}
    files["/main.py"] = b"pass"  # the application would find the record and put it in place
    board = plug_in(files)
    run = provision(unique_csv, [board.port])
    assert run.status == 1
    assert "holds another identity (/device.json.new)" in run.output
    run = provision(unique_csv, [board.port], "--replace")
    assert run.status == 0, run.output
    assert json.loads(board.read("/device.json") or b"{}") == device_json(0, SECRETS[0])
    assert "/device.json.new" not in board.files()


def test_another_identity_is_not_overwritten_and_costs_no_row(
    plug_in: PlugIn, unique_csv: Path
) -> None:
    old = json.dumps(device_json(9, "older")).encode()
    board = plug_in({**package(), "/device.json": old})
    run = provision(unique_csv, [board.port])
    assert run.status == 1
    assert "holds another identity (/device.json); --replace overwrites it" in run.output
    assert board.read("/device.json") == old
    assert statuses(unique_csv) == [("failed", 0)]


def test_the_same_image_for_all_leaves_identities_alone(
    plug_in: PlugIn, product_csv: Path, product_file: Path
) -> None:
    identity = json.dumps(device_json(9, "older")).encode()
    boards = [plug_in(package()), plug_in({**package(), "/device.json": identity})]
    ports = [board.port for board in boards]
    run = provision(product_csv, ports, "--product", product_file)
    assert run.status == 0, run.output
    assert [json.loads(board.read("/product.json") or b"") for board in boards] == [
        with_check(PRODUCT)
    ] * 2
    assert [board.read("/device.json") for board in boards] == [None, identity]
    assert_no_secret(product_csv, run)


def test_a_provisioned_board_registers_by_itself(platform: LocalPlatform, tmp_path: Path) -> None:
    """From the CSV to the platform: the whole way of a unit with a product certificate."""
    csv, product, wifi = (tmp_path / name for name in ("units.csv", "p.json", "w.json"))
    csv.write_text(f"deviceName\n{MAC}\n")
    product.write_text(json.dumps(product_of(platform)))
    wifi.write_text(json.dumps(WIFI))
    root = tmp_path / "own.der"
    root.write_bytes(platform.ca_der)
    board = Board(build_image(), tmp_path / "board", MAC, resolve={"*": "127.0.0.1"})
    with SerialPort(board) as line:
        link(line.path, tmp_path / "tty")
        files = ("--product", product, "--wifi", wifi, "--root", root)
        run = provision(csv, [str(tmp_path / "tty")], *files)
    assert run.status == 0, run.output
    assert board.boot("connected as", timeout=20).ending == "until"
    assert platform.registry.device(PRODUCT_KEY, MAC).activated


def test_a_board_that_is_not_in_the_list_is_refused(
    plug_in: PlugIn, tmp_path: Path, product_file: Path
) -> None:
    csv = tmp_path / "units.csv"
    csv.write_text("deviceName\n246f28ffffff\n")
    board = plug_in(package())
    run = provision(csv, [board.port], "--product", product_file)
    assert run.status == 1
    assert "is not in the list: is it pre-registered?" in run.output
    assert board.read("/product.json") is None


def test_a_board_unplugged_in_the_middle_fails_by_name_and_keeps_its_row(
    plug_in: PlugIn, unique_csv: Path, tmp_path: Path
) -> None:
    board, other = plug_in(), plug_in(package())  # the first one has everything to be written
    if board.simulated is None:
        pytest.skip("needs a board that can be unplugged")
    simulated = board.simulated
    words = ("tools.provision", unique_csv, "--port", board.port, "--port", other.port)
    with board.unplugged_later(1.5) as now:
        run = run_tool(*words, watch=now, until="2 ports")
    assert run.status == 1
    assert "1 done, 0 done before, 1 failed" in run.output
    assert f"{board.port} {simulated.mac}" in run.output
    assert "unplugged" in run.output
    (row,) = {e["unit"] for e in logged(unique_csv) if e["mac"] == simulated.mac}
    assert not simulated.read("/device.json")
    third = plug_in(package())
    provision(unique_csv, [third.port])
    assert json.loads(third.read("/device.json") or b"{}")["deviceName"] == "SN-0002", (
        "the row that was begun is not given to another board"
    )

    again = Board(None, simulated.folder, simulated.mac)
    with SerialPort(again) as line:
        link(line.path, tmp_path / "again")
        run = provision(unique_csv, [str(tmp_path / "again")])
    assert run.status == 0, run.output
    record = json.loads(again.read("/device.json") or b"{}")
    assert record == device_json(row - 1, SECRETS[row - 1])


def test_a_slow_board_does_not_hold_the_others(unique_csv: Path, tmp_path: Path) -> None:
    image = build_image(lib=None, boot=None, main=None, files=package())
    boards = [Board(image, tmp_path / f"board{n}", f"246f28aabb{n:02x}") for n in range(2)]
    with SerialPort(boards[0], baud=38400) as slow, SerialPort(boards[1]) as fast:
        for line, name in ((slow, "slow"), (fast, "fast")):
            link(line.path, tmp_path / name)
        run = provision(unique_csv, [str(tmp_path / "slow"), str(tmp_path / "fast")])
    assert run.status == 0, run.output
    assert [e["mac"] for e in logged(unique_csv) if e["status"] == "done"] == [
        boards[1].mac,
        boards[0].mac,
    ]


def test_a_unit_too_many_is_said(plug_in: PlugIn, tmp_path: Path) -> None:
    csv = tmp_path / "devices.csv"
    csv.write_text(f"productKey,deviceName,deviceSecret\n{PRODUCT_KEY},SN-0000,{SECRETS[0]}\n")
    first, second = plug_in(package()), plug_in(package())
    run = provision(csv, [first.port, second.port])
    assert run.status == 1
    assert "no unit is left in the list for this board" in run.output
    held = [board.read("/device.json") for board in (first, second)]
    assert held.count(None) == 1


def test_the_report_is_one_page_with_every_unit_and_no_secret(
    plug_in: PlugIn, unique_csv: Path, tmp_path: Path
) -> None:
    good = plug_in(package())
    bad = plug_in(package(), firmware="1.22.0")
    page = tmp_path / "report.html"
    run = provision(unique_csv, [good.port, bad.port], "--report", page)
    assert run.status == 1
    text = page.read_text()
    assert "MicroPython 1.22.0 is too old" in text
    assert "<b>1</b>of 3 units done" in text and "<b>1</b>board failed" in text
    for name in ("SN-0000", "SN-0001", "SN-0002"):
        assert name in text
    for outside in ("http://", "https://", "<script", "src=", "@import"):
        assert outside not in text
    assert_no_secret(unique_csv, run, page)


def test_preregister_writes_the_device_names_that_the_boards_will_use(
    plug_in: PlugIn, tmp_path: Path
) -> None:
    boards = [plug_in(package()), plug_in()]
    names = tmp_path / "names.csv"
    arguments = ["--port", boards[0].port, "--port", boards[1].port, "--output", str(names)]
    run = run_tool("tools.provision", "preregister", *arguments, "--prefix", "lamp-")
    assert run.status == 0, run.output
    header, *rows = names.read_text().splitlines()
    assert header == "DeviceName,Nickname"
    assert sorted(rows) == ["lamp-246f28aabb00,", "lamp-246f28aabb01,"]
    run = run_tool("tools.provision", "preregister", *arguments, "--prefix", "lamp-")
    assert "0 new DeviceNames" in run.output
    assert len(names.read_text().splitlines()) == 3


def test_watch_takes_the_next_board_at_a_port(
    plug_in: PlugIn, unique_csv: Path, tmp_path: Path
) -> None:
    lines = unique_csv.read_text().splitlines()
    unique_csv.write_text("\n".join(lines[:3]) + "\n")
    first, second = plug_in(package()), plug_in(package())
    if first.line is None or second.line is None:
        pytest.skip("needs simulated boards")
    port = tmp_path / "fixture"
    link(first.line.path, port)
    done = threading.Event()

    def change() -> None:
        assert second.line is not None
        done.wait(30)
        port.unlink()
        threading.Event().wait(0.4)
        link(second.line.path, port)

    hand = threading.Thread(target=change)
    hand.start()
    arguments = ("tools.provision", unique_csv, "--watch", "--port", port)
    run = run_tool(*arguments, watch=done, until="SN-0000")
    hand.join()
    assert run.status == 0, run.output
    assert "2 done" in run.output
    assert json.loads(second.read("/device.json") or b"{}") == device_json(1, SECRETS[1])
