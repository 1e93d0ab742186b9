"""No secret is ever seen outside of the files that keep it, whatever fails on a board.

Leaving a `Bench` searches what its boards and its platform said: every test on one is such a test.
A board's log has two levels: 1, as here and as shipped, says all there is; 0 says nothing.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.board import Board, FlashFault
from tools.faults import network, power
from tools.faults.bench import CONNECTED, PRODUCT_KEY, PRODUCT_SECRET, WIFI, Bench
from tools.faults.proxy import Fault
from tools.gateway_story import SENSOR_KEY, SENSORS, example
from tools.iot_platform import Behaviour

WAITING = r"trying again in .*\n"
ANSWERED = "kT9hLw3ZbVx7RqYc2MdPf8sGjN4uE6aA"
"""A DeviceSecret in answers that are no good."""
CRASHING = """
import sys
from aliyun_iot.device import Device
from aliyun_iot.gateway import Gateway
device = Device.open()
session = device.connect()
gateway = Gateway(session)
for thing in (device, session, device.session, gateway, device._context, session.sock):
    print(thing, repr(thing), str(thing), dir(thing))
print(sys.modules, device.register, Device, Gateway)
for wrong in ([("a1SensorKey", b"\\xff", device.credentials())], device.record, device):
    try:
        gateway.bring_online(wrong)
    except Exception as e:
        sys.print_exception(e)
        print(repr(e), e.args)
def deeper(secret, password, record):
    raise ValueError("an application's own mistake")
deeper(device.settings()["productSecret"], device.credentials(), device.record)
"""
MORE = (
    "    gateway.publish(",
    """
    print(gateway.topology(print), "in the topology")
    for ask in (gateway.found, gateway.login, gateway.logout, gateway.delete_topology):
        try:
            ask([("a1SensorKey", "sensor-000"), ("a1SensorKey", "sensor-999")], tell)
        except Exception as e:
            print("refused", repr(e))
    try:
        gateway.product_register([("a1OtherKey", "sensor-000")], "Osecret0fOtherSensors", tell)
    except Exception as e:
        print("refused", repr(e))
    session.wait(500)
    print("the end")
    gateway.publish(""",
)
"""A gateway that asks for all there is, and for what there is not."""
WIFI_IN_THE_AIR = {WIFI["ssid"]: WIFI["password"]}


@pytest.fixture
def bench(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """A bench whose platform keeps its books in a file, and logs all it can.

    At the end the books, the log and what the process printed are searched too.
    """
    database = tmp_path / "platform.db"
    with caplog.at_level(logging.DEBUG), Bench(tmp_path, database=database) as running:
        yield running
    assert all(board.said for board in running.boards)
    with closing(sqlite3.connect(database)) as books:
        events = "\n".join(str(row) for row in books.execute("SELECT * FROM events"))
    out, err = capfd.readouterr()
    for shown in (events, caplog.text, out, err):
        assert running.secrets.seen_in(shown) == []


@dataclass(frozen=True)
class Case:
    """A failure: how a board comes to it, and what it says when it is there."""

    prepare: Callable[[Bench], Board]
    says: str
    until: str = rf"{CONNECTED}|{WAITING}"


def board_of(bench: Bench, **product: object) -> Board:
    return bench.board(bench.image(bench.product(**product)))


def refused_registration(bench: Bench, code: int) -> Board:
    bench.platform.faults.register_code(code)
    return board_of(bench)


def refused_connect(bench: Bench, code: int) -> Board:
    bench.platform.faults.connack(code)
    return board_of(bench)


def garbled_record(bench: Bench) -> Board:
    board = board_of(bench)
    assert board.boot(CONNECTED, 20).ending == "until"
    record = board.read("/device.json")
    assert record is not None
    board.write("/device.json", record[:-6])
    return board


def refused_secret(bench: Bench) -> Board:
    board, _ = power.REPLACING.prepare(bench)
    return board


def broken_flash(bench: Bench) -> Board:
    board = board_of(bench)
    board.flash_fault = FlashFault()
    return board


def answered(bench: Bench, body: object, head: str = "HTTP/1.1 200 OK") -> Board:
    """A board whose registration is answered with this."""
    bench.secrets.add("a DeviceSecret in an answer", ANSWERED)
    text = body if isinstance(body, str) else json.dumps(body)
    answer = f"{head}\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    bench.platform.faults.raw_http(answer.encode())
    return board_of(bench)


def granted(bench: Bench, **changes: object) -> Board:
    """A board whose registration is answered with a certificate that is not right."""
    name = f"{0x246F28000001 + len(bench.boards):012x}"
    data = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": ANSWERED, **changes}
    return answered(bench, {"code": 200, "data": data, "message": "success"})


def no_wifi(bench: Bench) -> Board:
    board = board_of(bench)
    board.wifi = {WIFI["ssid"]: "another password"}
    return board


def garbage_before_tls(bench: Bench) -> Board:
    bench.https.expect([Fault("garbage", data=b"\0" * 500)])
    return board_of(bench)


def cut_connect(bench: Bench) -> Board:
    bench.mqtt.expect([Fault("cut", "down", 1600)])
    return board_of(bench)


def forgetting(bench: Bench) -> Board:
    board, _ = power.FORGETTING.prepare(bench)
    return board


CASES = {
    "registration refused": Case(lambda b: refused_registration(b, 6600), "code 6600: wrong sig"),
    "already active": Case(lambda b: refused_registration(b, 6289), "code 6289: already active"),
    "busy": Case(lambda b: refused_registration(b, 429), r"platform is busy \(code 429\)"),
    "connect refused": Case(lambda b: refused_connect(b, 4), r"connect refused \(CONNACK 4\)"),
    "secret refused": Case(refused_secret, r"connect refused \(CONNACK 4\): DeviceSecret reset"),
    "record garbled": Case(garbled_record, "device.json: not JSON; .* is not registered"),
    "flash broken": Case(broken_flash, "/device.json: cannot be written"),
    "answer repeats a secret": Case(
        lambda b: answered(b, {"code": 200, "data": {"deviceSecret": ANSWERED}}),
        "the answer is for another device",
    ),
    "secret in the status line": Case(
        lambda b: answered(b, "{}", f"HTTP/1.1 {PRODUCT_SECRET} {ANSWERED}"), "status line"
    ),
    "secret in the answer's code": Case(
        lambda b: answered(b, {"code": ANSWERED, "message": PRODUCT_SECRET}),
        "status 200, no result code",
    ),
    "for another device": Case(lambda b: granted(b, deviceName="other"), "for another device"),
    "secret not ASCII": Case(
        lambda b: granted(b, deviceSecret=ANSWERED + "é"), "no usable deviceSecret"
    ),
    "secret too long": Case(lambda b: granted(b, deviceSecret=ANSWERED * 9), "no usable"),
    "answer is half of its JSON": Case(
        lambda b: answered(b, f'{{"data":{{"deviceSecret":"{ANSWERED}'), "no result code"
    ),
    "no Wi-Fi": Case(no_wifi, "wifi: no connection: wrong password"),
    "garbage before TLS": Case(garbage_before_tls, "MBEDTLS_ERR_SSL_INVALID_RECORD"),
    "connect cut": Case(cut_connect, "connection: closed by the other end"),
    "registration over MQTT": Case(lambda b: board_of(b, registration="mqtt"), CONNECTED),
    "without pre-registration": Case(lambda b: board_of(b, registration="mqtt-free"), CONNECTED),
    "ProductSecret forgotten": Case(forgetting, "ProductSecret removed", until="message on .*\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_shows_no_secret_on_the_serial_line_or_in_the_record(
    bench: Bench, name: str
) -> None:
    case = CASES[name]
    board = case.prepare(bench)
    first = board.boot(case.until, 20)
    assert re.search(case.says, first.output), first.output
    board.boot(rf"{CONNECTED}|{WAITING}", 20)


@pytest.mark.parametrize(
    "field", ["productKey", "deviceName", "signMethod", "keepalive", "noSuchField"]
)
def test_a_secret_in_the_wrong_field_is_not_repeated(bench: Bench, field: str) -> None:
    board = bench.board(bench.image(bench.product(**{field: f"{PRODUCT_SECRET} !"})))
    result = board.boot(r"stopped.*\n", 20)
    assert re.search(f"stopped: product.json: {field}: ", result.output), result.output


@pytest.mark.parametrize("path", ["/product.json", "/wifi.json", "/device.json"])
def test_a_file_that_is_not_json_is_not_repeated(bench: Bench, path: str) -> None:
    board = board_of(bench)
    text = f'{{"productSecret": "{PRODUCT_SECRET}", "password": "{WIFI["password"]}", '
    board.write(path, text.encode())
    result = board.boot(rf"stopped.*\n|{CONNECTED}|{WAITING}", 20)
    assert f"{path[1:]}: not JSON" in result.output


def test_tracebacks_and_reprs_show_no_secret(bench: Bench) -> None:
    result = bench.board(bench.image(main=CRASHING)).boot(None, 20)
    assert "<Device object" in result.output
    assert result.output.count("\nTraceback") == 4, result.output
    assert "\nValueError: an application's own mistake" in result.output


def test_an_interrupted_board_and_its_repl_show_no_secret(bench: Bench) -> None:
    board = board_of(bench)
    with board.power_on() as session:
        assert session.wait(CONNECTED, 20) == "until"
        session.send("\x03")
        assert session.wait(None, 20) == "repl"
        assert "KeyboardInterrupt" in session.output
        for line in ("globals()", "locals()", "device", "dir(device)", "import sys; sys.modules"):
            session.repl(line)


def test_a_gateway_shows_no_secret_of_its_sub_devices(tmp_path: Path) -> None:
    """Replies that hold them come doubled, late and wrong; the platform lists them again."""
    behaviour = Behaviour(topology_reply_with_secret=True)
    with Bench(tmp_path, behaviour=behaviour) as bench:
        registry = bench.platform.registry
        registry.add_product(SENSOR_KEY)
        registry.add_devices(SENSOR_KEY, SENSORS)
        registry.add_product("a1OtherKey", "Osecret0fOtherSensors")
        bench.platform.faults.edit_reply = lambda topic, payload: [
            (0, topic, payload.replace(b'"id":"', b'"id":"9')),
            (0, topic, payload[:-40]),
            (0, topic, payload),
            (0.3, topic, payload),
        ]
        main = example().replace("range(100)", "range(3)").replace(*MORE)
        board = bench.board(bench.image(main=main))
        result = board.boot("the end", 30)
        assert result.ending == "until", result.output
        assert "3 sub-devices online" in result.output and "3 in the topology" in result.output
        assert len(bench.platform.record.events("register", SENSOR_KEY, code=200)) == 3


def test_a_share_of_the_network_faults_shows_no_secret(bench: Bench) -> None:
    assert network.cuts(bench, "mqtt-free", "cut", most=10, seed=5).problems == []


def descendants(process: Path) -> list[Path]:
    """The processes in /proc that this one started, those that they started, and so on."""
    numbers = [
        number for path in process.glob("task/*/children") for number in path.read_text().split()
    ]
    children = [Path("/proc", number) for number in numbers]
    return children + [one for child in children for one in descendants(child)]


def test_no_process_of_a_board_shows_a_secret_in_its_arguments_or_environment(
    bench: Bench,
) -> None:
    board = board_of(bench)
    board.wifi = WIFI_IN_THE_AIR
    with board.power_on() as session:
        assert session.wait(CONNECTED, 20) == "until"
        seen = [
            (process / name).read_bytes()
            for process in descendants(Path("/proc/self"))
            for name in ("cmdline", "environ")
        ]
        assert bench.secrets.seen_in(b"\n".join(seen)) == []
        own = f"folder={str(board.folder)!r}".encode()
        assert any(own in arguments for arguments in seen), "this board's process was looked at"
