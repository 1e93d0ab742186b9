"""No secret is ever seen outside of the files that keep it, whatever fails."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tools.board import Board, FlashFault
from tools.faults import network, power
from tools.faults.bench import CONNECTED, PRODUCT_KEY, PRODUCT_SECRET, WIFI, Bench
from tools.faults.proxy import Fault
from tools.faults.secrets import Secrets
from tools.layout import ROOT

WAITING = r"trying again in .*\n"
LOUD = "from aliyun_iot import log\nlog.level = 99\n" + (ROOT / "boot.py").read_text()
CRASHING = """
import sys
from aliyun_iot.device import Device
device = Device.open()
session = device.connect()
print(device, session, device.session, repr(device), repr(session), sys.modules)
def deeper(secret, password, record):
    raise ValueError("an application's own mistake")
deeper(device.product["productSecret"], device.credentials(), device._record)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose platform keeps its books in a file; at the end, what was said is searched."""
    database = tmp_path / "platform.db"
    with Bench(tmp_path, database=database) as running:
        yield running
        assert running.leaks() == []
        assert all(board.said for board in running.boards)
    with closing(sqlite3.connect(database)) as books:
        events = "\n".join(str(row) for row in books.execute("SELECT * FROM events"))
    assert running.secrets.seen_in(events) == []


def refused_registration(bench: Bench, code: int) -> Board:
    bench.platform.faults.register_code(code)
    return loud_board(bench)


def loud_board(bench: Bench, **product: object) -> Board:
    return bench.board(bench.image(bench.product(**product), boot=LOUD))


def garbled_record(bench: Bench) -> Board:
    board = loud_board(bench)
    assert board.boot(CONNECTED, 20).ending == "until"
    record = board.read("/device.json")
    assert record is not None
    board.write("/device.json", record[:-6])
    return board


def refused_secret(bench: Bench) -> Board:
    board, _ = power.REPLACING.prepare(bench)
    board.write("/boot.py", LOUD.encode())
    return board


def broken_flash(bench: Bench) -> Board:
    board = loud_board(bench)
    board.flash_fault = FlashFault()
    return board


def answer_that_repeats_the_request(bench: Bench) -> Board:
    body = json.dumps({"code": 200, "data": {"deviceSecret": PRODUCT_SECRET}})
    bench.platform.faults.raw_http(f"HTTP/1.1 200 {PRODUCT_SECRET}\r\n\r\n{body}".encode())
    return loud_board(bench)


def secret_in_the_wrong_field(bench: Bench, name: str) -> Board:
    return loud_board(bench, **{name: PRODUCT_SECRET})


def no_wifi(bench: Bench) -> Board:
    board = loud_board(bench)
    board.wifi = {WIFI["ssid"]: "another password"}
    return board


def garbage_before_tls(bench: Bench) -> Board:
    bench.https.expect([Fault("garbage", data=b"\0" * 500)])
    return loud_board(bench)


def cut_connect(bench: Bench) -> Board:
    bench.mqtt.expect([Fault("cut", "down", 1600)])
    return loud_board(bench)


CASES: dict[str, Callable[[Bench], Board]] = {
    "registration refused": lambda bench: refused_registration(bench, 6600),
    "already active": lambda bench: refused_registration(bench, 6289),
    "busy": lambda bench: refused_registration(bench, 429),
    "record garbled": garbled_record,
    "secret refused": refused_secret,
    "flash broken": broken_flash,
    "the answer repeats a secret": answer_that_repeats_the_request,
    "no Wi-Fi": no_wifi,
    "garbage before TLS": garbage_before_tls,
    "connect cut": cut_connect,
    "registration over MQTT": lambda bench: loud_board(bench, registration="mqtt"),
    "without pre-registration": lambda bench: loud_board(bench, registration="mqtt-free"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_shows_no_secret_on_the_serial_line_or_in_the_record(
    bench: Bench, name: str
) -> None:
    board = CASES[name](bench)
    board.boot(rf"{CONNECTED}|{WAITING}", 30)
    board.boot(CONNECTED, 3)


@pytest.mark.parametrize(
    "field", ["productKey", "deviceName", "signMethod", "keepalive", "noSuchField"]
)
def test_a_secret_in_the_wrong_field_is_not_repeated(bench: Bench, field: str) -> None:
    board = bench.board(bench.image(bench.product(**{field: f"{PRODUCT_SECRET} !"}), boot=LOUD))
    assert board.boot(r"stopped.*\n", 20).ending == "until"


def test_a_file_that_is_not_json_is_not_repeated(bench: Bench) -> None:
    for path in ("/product.json", "/wifi.json", "/device.json"):
        board = loud_board(bench)
        text = f'{{"productSecret": "{PRODUCT_SECRET}", "password": "{WIFI["password"]}", '
        board.write(path, text.encode())
        assert board.boot(rf"stopped.*\n|{CONNECTED}|{WAITING}", 20).ending == "until"


def test_tracebacks_and_reprs_show_no_secret(bench: Bench) -> None:
    board = bench.board(bench.image(main=CRASHING, boot=LOUD))
    result = board.boot(None, 20)
    assert "<Device object" in result.output
    assert "ValueError: an application's own mistake" in result.output


def test_a_share_of_the_network_faults_shows_no_secret(bench: Bench) -> None:
    assert network.cuts(bench, "mqtt-free", "cut", most=10, seed=5).problems == []


def test_no_process_shows_a_secret_in_its_arguments(bench: Bench) -> None:
    board = loud_board(bench)
    with board.power_on() as session:
        assert session.wait(CONNECTED, 20) == "until"
        seen = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes())
            except OSError:
                continue  # it has ended meanwhile
        assert bench.secrets.seen_in(b"\n".join(seen)) == []
        assert any(b"launch.py" in arguments for arguments in seen)


def test_the_hosts_own_objects_do_not_show_their_secrets(bench: Bench) -> None:
    name = bench.devices(1)[0]
    registry = bench.platform.registry
    client = registry.issue_client(registry.device(PRODUCT_KEY, name).identity)
    shown = repr([registry.product(PRODUCT_KEY), registry.device(PRODUCT_KEY, name), client])
    assert name in shown
    assert bench.secrets.seen_in(shown) == []
    loud_board(bench).boot(CONNECTED, 20)


@pytest.mark.parametrize(
    "product",
    [
        f'{{"productKey": "{PRODUCT_KEY}", "productSecret": "{PRODUCT_SECRET}',
        f'{{"productKey": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{PRODUCT_KEY}", "productSecret": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{PRODUCT_KEY}", "region": ["{PRODUCT_SECRET}"]}}',
    ],
    ids=["torn", "as key", "with a space", "as region"],
)
def test_the_image_tool_does_not_repeat_what_it_refuses(tmp_path: Path, product: str) -> None:
    secrets = Secrets()
    secrets.add("ProductSecret", PRODUCT_SECRET)
    path = tmp_path / "product.json"
    path.write_text(product)
    done = subprocess.run(
        [sys.executable, "-m", "tools.image", "--product", path, "--output", tmp_path / "x.bin"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert secrets.seen_in(done.stdout + done.stderr) == []


def test_a_secret_is_found_as_it_is_in_hex_and_in_base64() -> None:
    secrets = Secrets()
    secrets.add_device(PRODUCT_KEY, "unit", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4")
    for text in (
        "a KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4!",
        b"KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4".hex(),
        "S0dRUUZGbEdpbklpcFc5WG43eFE1VTZkNk1va1BaRDQ=",
    ):
        assert secrets.seen_in(text) == ["DeviceSecret"]
    assert secrets.seen_in("KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD") == []


def test_a_board_that_prints_its_secret_is_found_out(tmp_path: Path) -> None:
    main = (
        "from aliyun_iot.device import Device\nd = Device.open()\n"
        "print(d.credentials(), open('/device.json').read())\n"
    )
    with Bench(tmp_path) as bench:
        board = bench.board(bench.image(main=main))
        board.boot(None, 20)
        found = " ".join(bench.leaks())
    assert re.search("MQTT password on the serial line", found)
    assert re.search("DeviceSecret on the serial line", found)
