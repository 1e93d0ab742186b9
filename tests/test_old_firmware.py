"""What older releases of MicroPython do differently, the board bears: imitated, so it stays so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import needs_own

from tools.faults.bench import CONNECTED, PRODUCT_KEY, WIFI, Bench
from tools.faults.proxy import Fault
from tools.image import build_image, image_files

GUARD = 60
RELEASES = ["1.23.0", "1.25.0", "1.27.0", "1.28.0"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize("firmware", RELEASES)
def test_a_board_registers_connects_and_connects_again(bench: Bench, firmware: str) -> None:
    board = bench.board(firmware=firmware)
    assert board.boot(CONNECTED, GUARD).ending == "until"
    assert "registered" not in board.boot(CONNECTED, GUARD).output


@needs_own
@pytest.mark.parametrize("firmware", RELEASES)
def test_a_reset_of_the_connection_is_told_in_words(bench: Bench, firmware: str) -> None:
    """TLS hands the error on with a minus, before 1.28."""
    board = bench.board(firmware=firmware)
    assert board.boot(CONNECTED, GUARD).ending == "until"
    bench.mqtt.expect([Fault("reset", "down", 3000)])
    with board.power_on() as session:
        assert session.wait(CONNECTED, GUARD) == "until"
        topic = f"/sys/{PRODUCT_KEY}/{board.mac}/thing/service/property/set"
        bench.platform.publish(PRODUCT_KEY, board.mac, topic, b"x" * 3000)
        assert session.wait("trying again", GUARD, session.matched) == "until"
        assert "connection: closed by the other end" in session.output, session.output


@pytest.mark.parametrize("firmware", RELEASES)
@pytest.mark.parametrize("lost", [1, 2, 25, 40])
def test_a_torn_product_json_is_not_taken_for_a_whole_one(
    bench: Bench, firmware: str, lost: int
) -> None:
    whole = json.dumps(bench.product(keepalive=1200, forgetProductSecret=True)).encode()
    roots = [bench.platform.ca_der]
    image = build_image(whole[:-lost], WIFI, roots=roots, check=False)
    board = bench.board(image, firmware=firmware)
    output = board.boot("stopped: .*\n|" + CONNECTED, GUARD).output
    assert "stopped: product.json: not JSON" in output


@pytest.mark.parametrize("firmware", ["1.23.0", "1.28.0"])
def test_a_torn_answer_of_the_platform_registers_nothing(bench: Bench, firmware: str) -> None:
    board = bench.board(firmware=firmware)
    record = bench.platform.registry.device(PRODUCT_KEY, board.mac)
    data = {
        "productKey": PRODUCT_KEY,
        "deviceName": board.mac,
        "deviceSecret": record.device_secret,
    }
    torn = json.dumps({"code": 200, "data": data})[:-1].encode()
    bench.platform.faults.raw_http(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(torn) + torn
    )
    output = board.boot("trying again|" + CONNECTED, GUARD).output
    assert "trying again" in output
    assert board.read("/device.json") is None


@pytest.mark.parametrize("message", ["成功", "📶 ok", "a \\ud83d b"])
def test_an_answer_with_escapes_registers(bench: Bench, message: str) -> None:
    board = bench.board()
    record = bench.platform.registry.device(PRODUCT_KEY, board.mac)
    data = {
        "productKey": PRODUCT_KEY,
        "deviceName": board.mac,
        "deviceSecret": record.device_secret,
    }
    body = json.dumps({"code": 200, "data": data, "message": message}).encode()
    assert b"\\u" in body
    bench.platform.faults.raw_http(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    result = board.boot("trying again|" + CONNECTED, GUARD)
    assert "trying again" not in result.output


# --- memory that runs out: TLS buffers lie outside of the heap


@needs_own
def test_a_tls_connection_that_finds_no_memory_is_tried_again(
    bench: Bench, tmp_path: Path
) -> None:
    """The application holds three connections of its own for a while: a fourth finds no memory."""
    main = (
        "import socket, tls\nheld = []\nfor n in range(3):\n"
        "    s = socket.socket()\n"
        f"    s.connect(socket.getaddrinfo('localhost', {bench.platform.https_port})[0][-1])\n"
        "    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)\n"
        "    context.verify_mode = tls.CERT_NONE\n"
        "    held.append(context.wrap_socket(s, server_hostname='localhost'))\n"
        "waits = 0\n"
        "def feed():\n    global waits\n    waits += 1\n"
        "    if waits == 8:\n        while held: held.pop().close()\n"
        "from aliyun_iot import device\ndevice.run(feed=feed)\n"
    )
    board = bench.board(bench.image(main=main))
    with board.power_on() as session:
        assert session.wait("trying again", GUARD) == "until", session.output
        assert "out of memory" in session.output or "ENOMEM" in session.output, session.output
        assert session.wait(CONNECTED, GUARD, session.matched) == "until", session.output


def test_a_product_json_of_the_tools_tells_that_it_is_damaged(bench: Bench) -> None:
    """Whatever changed in it: its check covers all members, numbers too."""
    roots = [bench.platform.ca_der]
    product = bench.product(keepalive=1200)
    whole = image_files(product, WIFI, roots=roots)["/product.json"]
    damaged = whole.replace(b"1200", b"120")
    assert whole != damaged
    board = bench.board(build_image(damaged, WIFI, roots=roots, check=False))
    output = board.boot("stopped: .*\n|" + CONNECTED, GUARD).output
    assert "stopped: product.json: check: damaged (it does not match)" in output
    board = bench.board(build_image(whole, WIFI, roots=roots, check=False))
    assert board.boot(CONNECTED, GUARD).ending == "until"


@pytest.mark.parametrize("content", [b'{1: "a", "productKey": "a1"}', b'{1: 2, "check": "0"}'])
def test_a_product_json_with_a_name_that_is_no_text_is_refused(
    bench: Bench, content: bytes
) -> None:
    """MicroPython's JSON takes such names."""
    image = build_image(content, WIFI, roots=[bench.platform.ca_der], check=False)
    output = bench.board(image).boot("stopped: .*\n|Traceback", GUARD).output
    assert "stopped: product.json: " in output
