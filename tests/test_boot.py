"""The boot state table, on the simulated board against the local platform."""

from __future__ import annotations

from typing import Any

import pytest
from boot_helpers import WAITING, boot, secret_of_platform, secret_on_flash
from conftest import MAC, PRODUCT_KEY, MakeBoard, product_of

from tools.iot_platform import LocalPlatform

REGISTRATION_CODE = [
    f"/lib/aliyun_iot/{name}.mpy"
    for name in ("https", "registration", "registration_mqtt", "urlencode")
]


def kinds(platform: LocalPlatform) -> list[tuple[str, int | None]]:
    """What the platform recorded about identities."""
    return [
        (event.kind, event.code)
        for event in platform.record.events()
        if event.kind in ("register", "connect", "activate")
    ]


def test_a_blank_board_registers_stores_connects_and_gets_a_message(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board()
    result = boot(board)
    assert kinds(platform) == [("register", 200), ("connect", 0), ("activate", None)]
    assert secret_on_flash(board) == secret_of_platform(platform)
    assert f"registered as {MAC}" in result.output


def test_a_later_boot_connects_without_registering_or_writing_flash(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board()
    boot(board)
    before = len(kinds(platform))
    assert boot(board).flash_operations == 0
    assert kinds(platform)[before:] == [("connect", 0)]


def test_a_later_boot_works_without_the_registration_code_on_flash(
    make_board: MakeBoard,
) -> None:
    board = make_board()
    boot(board)
    for path in REGISTRATION_CODE:
        board.write(path, None)
    boot(board)


@pytest.mark.parametrize("with_product", [True, False], ids=["product.json", "no product.json"])
def test_a_unique_certificate_connects_without_loading_registration_code(
    platform: LocalPlatform, make_board: MakeBoard, with_product: bool
) -> None:
    platform.registry.add_device(PRODUCT_KEY, "SN-0042", device_secret="burned-at-the-factory")
    device = {
        "productKey": PRODUCT_KEY,
        "deviceName": "SN-0042",
        "deviceSecret": "burned-at-the-factory",
    }
    if with_product:
        board = make_board(product_of(platform, productSecret=None), device)
    else:
        board = make_board({}, device)
        board.resolve = {
            f"{PRODUCT_KEY}.iot-as-mqtt.cn-shanghai.aliyuncs.com:443": (
                f"127.0.0.1:{platform.mqtt_tls_port}"
            )
        }
    for path in REGISTRATION_CODE:
        board.write(path, None)
    boot(board, "connected as SN-0042")
    assert kinds(platform) == [("connect", 0), ("activate", None)]


def test_the_registration_code_is_unloaded_after_a_first_boot(make_board: MakeBoard) -> None:
    main = (
        "import sys\nfrom aliyun_iot.device import Device\nDevice.open().connect()\n"
        "print(sorted(m for m in sys.modules if m.startswith('aliyun_iot')))\n"
    )
    result = make_board(main=main).boot(timeout=20)
    assert "aliyun_iot.session" in result.output
    for name in ("https", "registration", "urlencode"):
        assert f"aliyun_iot.{name}'" not in result.output


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256", "HmacSHA1"])
def test_each_sign_method_registers_and_connects(
    platform: LocalPlatform, make_board: MakeBoard, method: str
) -> None:
    boot(make_board(product_of(platform, signMethod=method)))
    (registered,) = platform.record.events("register")
    (connected,) = platform.record.events("connect")
    assert registered.details["sign_method"] == method.lower()
    assert f"signmethod={method.lower()}," in connected.details["client_id"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (6600, "check productSecret"),
        (429, "the platform is busy"),
    ],
)
def test_a_refusal_says_what_to_do_and_stores_nothing(
    platform: LocalPlatform, make_board: MakeBoard, code: int, advice: str
) -> None:
    platform.faults.register_code(code)
    board = make_board()
    result = boot(board, WAITING)
    assert f"code {code}" in result.output
    assert advice in result.output
    assert board.read("/device.json") is None
    assert platform.record.events("connect") == []


def test_refusals_by_the_registry(platform: LocalPlatform, make_board: MakeBoard) -> None:
    def refused(**fields: Any) -> str:
        return boot(make_board(product_of(platform, **fields)), WAITING).output

    assert "code 6600" in refused(productSecret="wrong")
    assert "code 6250" in refused(productKey="a1Unknown00")
    assert "code 6100" in refused(deviceNamePrefix="unknown-")
    platform.registry.set_dynamic_registration(PRODUCT_KEY, False)
    assert "code 6288" in refused()


def test_plain_tcp_is_used_only_when_configured_and_gives_a_warning(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    board = make_board(product_of(platform, securemode=3, mqttPort=platform.mqtt_tcp_port))
    result = boot(board)
    assert "WARNING: securemode 3" in result.output
    (connected,) = platform.record.events("connect")
    assert connected.details.get("tls") is None
    assert "securemode=3," in connected.details["client_id"]


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({"instanceId": "iot-060a0bcd"}, "iot-060a0bcd.mqtt.iothub.aliyuncs.com"),
        ({}, f"{PRODUCT_KEY}.iot-as-mqtt.cn-shanghai.aliyuncs.com"),
        (
            {"region": "ap-southeast-1"},
            f"{PRODUCT_KEY}.iot-as-mqtt.ap-southeast-1.aliyuncs.com",
        ),
    ],
)
def test_the_default_hosts_of_the_platform_are_used_and_verified(
    platform: LocalPlatform, make_board: MakeBoard, fields: dict[str, str], host: str
) -> None:
    own = {"registerHost": None, "registerPort": None, "mqttHost": None, "mqttPort": None}
    board = make_board(product_of(platform, **own, **fields))
    region = fields.get("region", "cn-shanghai")
    board.resolve = {
        f"iot-auth.{region}.aliyuncs.com:443": f"127.0.0.1:{platform.https_port}",
        f"{host}:443": f"127.0.0.1:{platform.mqtt_tls_port}",
    }
    boot(board)
    names = [event.details["server_name"] for event in platform.record.events("tls")]
    assert names == [f"iot-auth.{region}.aliyuncs.com", host]


def test_the_application_may_give_a_serial_number_as_device_name(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    platform.registry.add_device(PRODUCT_KEY, "SN:0042")
    main = "from aliyun_iot.device import Device\nDevice.open('SN:0042').connect()\n"
    make_board(main=main).boot(timeout=20)
    assert [(e.kind, e.device_name) for e in platform.record.events("connect")] == [
        ("connect", "SN:0042")
    ]


def test_credentials_work_with_any_other_client(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    main = (
        "from aliyun_iot.device import Device\nfrom umqtt.simple import MQTTClient\n"
        "client_id, user, password = Device.open().credentials()\n"
        f"MQTTClient(client_id, 'localhost', {platform.mqtt_tcp_port}, user, password, 60)"
        ".connect()\nprint('in')\n"
    )
    fields = {"securemode": 3}
    assert "in\n" in make_board(product_of(platform, **fields), main=main).boot(timeout=20).output


def test_the_calls_of_umqtt_keep_their_meaning_and_their_deadlines(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    main = (
        "from aliyun_iot.device import Device\nsession = Device.open().connect()\n"
        "print(session.wait(50))\nsession.check_msg()\nprint('checked')\n"
        "session.disconnect()\nprint(session.sock)\n"
    )
    result = make_board(main=main).boot(timeout=20)
    assert "None\nchecked\nNone\n" in result.output
    (left,) = platform.record.wait_for("disconnect")
    assert left.details["reason"] != "connection lost"
