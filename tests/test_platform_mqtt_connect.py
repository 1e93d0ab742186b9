"""MQTT CONNECT at the local platform: who gets in, and which CONNACK the others get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient, client_id
from platform_clients import PK, PS, hmac_hex

from tools.iot_platform import Behaviour, LocalPlatform

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
USER = f"{DN}&{PK}"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        yield running


def connect(platform: LocalPlatform, tls: bool = True, **options: object) -> int | None:
    with MqttClient(platform, tls=tls) as client:
        return client.connect_device(PK, DN, DS, **options)  # type: ignore[arg-type]


def sign(content: str) -> str:
    return hmac_hex("hmacsha256", DS, content)


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_accepts_each_sign_method_over_both_transports(
    platform: LocalPlatform, method: str, tls: bool
) -> None:
    assert connect(platform, tls, method=method) == 0


def test_accepts_an_upper_case_password(platform: LocalPlatform) -> None:
    assert connect(platform, upper=True) == 0


@pytest.mark.parametrize("ident", [f"{PK}.{DN}", f"{PK}&{DN}", f"{DN}.{PK}", "12345", "x" * 64])
def test_the_id_in_the_client_id_is_free(platform: LocalPlatform, ident: str) -> None:
    assert connect(platform, ident=ident) == 0


@pytest.mark.parametrize("timestamp", ["2524608000000", "1700000000", "42", "789"])
def test_a_timestamp_is_signed_but_never_compared_with_a_clock(
    platform: LocalPlatform, timestamp: str
) -> None:
    assert connect(platform, extra={"timestamp": timestamp}) == 0


def test_a_timestamp_may_be_left_out(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        ident = client_id("dev", securemode=2, signmethod="hmacsha256")
        password = sign(f"clientIddevdeviceName{DN}productKey{PK}")
        assert client.connect(ident, USER, password) == 0


def test_a_timestamp_that_is_given_must_be_signed(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        ident = client_id("dev", securemode=2, signmethod="hmacsha256", timestamp=1)
        password = sign(f"clientIddevdeviceName{DN}productKey{PK}")
        assert client.connect(ident, USER, password) == 4


def test_parameters_may_come_in_any_order_and_be_unknown(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        ident = client_id(
            "dev", lan="C", timestamp=7, _v="sdk-c-4.2.0", signmethod="hmacsha256", securemode=2
        )
        password = sign(f"clientIddevdeviceName{DN}productKey{PK}timestamp7")
        assert client.connect(ident, USER, password) == 0


def test_accepts_the_published_vector() -> None:
    with LocalPlatform() as platform:
        platform.registry.add_product("pk", "ps")
        platform.registry.add_device("pk", "device", "secret")
        with MqttClient(platform, tls=False) as client:
            code = client.connect(
                "12345|securemode=3,signmethod=hmacsha1,timestamp=789|",
                "device&pk",
                "FAFD82A3D602B37FB0FA8B7892F24A477F851A14",
            )
    assert code == 0


def test_accepts_mqtt_3_1(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        ident = client_id("dev", securemode=2, signmethod="hmacsha256")
        password = sign(f"clientIddevdeviceName{DN}productKey{PK}")
        assert client.connect(ident, USER, password, protocol="MQIsdp", level=3) == 0


def test_refuses_another_protocol_level(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.connect("x|securemode=2|", USER, "p", level=6) == 1


def test_tells_an_mqtt_5_client_in_its_own_words(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        body = b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x"
        client.send(1, 0, body)
        packet = client.receive()

    assert packet is not None
    assert (packet.kind, packet.body) == (2, b"\x00\x84\x00")


@pytest.mark.parametrize(
    "ident",
    [
        pytest.param("dev", id="no parameters"),
        pytest.param("dev|securemode=2,signmethod=hmacsha256", id="no closing bar"),
        pytest.param("|securemode=2,signmethod=hmacsha256|", id="empty id"),
        pytest.param("x" * 65 + "|securemode=2,signmethod=hmacsha256|", id="id of 65"),
        pytest.param("dev|securemode=2,signmethod|", id="a parameter without value"),
        pytest.param("dev|securemode=2,securemode=2,signmethod=hmacsha256|", id="one twice"),
        pytest.param("dev|securemode=2|", id="no signmethod"),
        pytest.param("dev|securemode=2,signmethod=md4|", id="unknown signmethod"),
        pytest.param("", id="empty"),
    ],
)
def test_refuses_a_malformed_client_id_with_3(platform: LocalPlatform, ident: str) -> None:
    with MqttClient(platform) as client:
        assert client.connect(ident, USER, "p") == 3


@pytest.mark.parametrize(
    "username", ["", DN, f"{PK}&", f"&{PK}", f"{PK}&{DN}", f"{DN}&a1Unknown00", f"unknown1&{PK}"]
)
def test_refuses_an_unknown_user_name(platform: LocalPlatform, username: str) -> None:
    ident = client_id("dev", securemode=2, signmethod="hmacsha256")
    with MqttClient(platform) as client:
        password = sign(f"clientIddevdeviceName{DN}productKey{PK}")
        assert client.connect(ident, username, password) == 4


def test_refuses_a_wrong_secret(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, "wrong") == 4
        assert client.receive() is None, "the platform closes after a refusal"
    assert not platform.registry.device(PK, DN).activated


def test_can_refuse_a_wrong_secret_with_5(platform: LocalPlatform) -> None:
    platform.behaviour.bad_sign_connack = 5
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, "wrong") == 5


@pytest.mark.parametrize(
    ("tls", "securemode"), [(True, 3), (True, 8), (True, -2), (False, 2), (False, -2)]
)
def test_refuses_a_securemode_that_does_not_fit_the_transport(
    platform: LocalPlatform, tls: bool, securemode: int
) -> None:
    assert connect(platform, tls, extra={"securemode": securemode}) == 4


@pytest.mark.parametrize(("keepalive", "code"), [(0, 3), (29, 3), (30, 0), (1200, 0), (1201, 0)])
def test_keepalive_has_a_least_value(platform: LocalPlatform, keepalive: int, code: int) -> None:
    assert connect(platform, keepalive=keepalive) == code


def test_can_refuse_a_long_keepalive(platform: LocalPlatform) -> None:
    platform.behaviour.keepalive_over_maximum = "refuse"

    assert connect(platform, keepalive=1200) == 0
    assert connect(platform, keepalive=1201) == 3


@pytest.mark.parametrize("keepalive", [0, 29, 1201])
def test_can_refuse_a_keepalive_out_of_range_with_another_code(
    platform: LocalPlatform, keepalive: int
) -> None:
    platform.behaviour.keepalive_over_maximum = "refuse"
    platform.behaviour.keepalive_connack = 2

    assert connect(platform, keepalive=keepalive) == 2


def test_refuses_a_disabled_device(platform: LocalPlatform) -> None:
    platform.disable(PK, DN)

    assert connect(platform) == 4


def test_refuses_a_deleted_device(platform: LocalPlatform) -> None:
    platform.delete(PK, DN)

    assert connect(platform) == 4


def test_refuses_the_sixth_connect_in_a_minute() -> None:
    with LocalPlatform(behaviour=Behaviour(connects_per_minute=5)) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, DS)
        platform.registry.add_device(PK, "another1", DS)

        assert [connect(platform) for _ in range(6)] == [0, 0, 0, 0, 0, 3]
        with MqttClient(platform) as client:
            assert client.connect_device(PK, "another1", DS) == 0, "the limit is each device's"


def test_the_first_connect_activates(platform: LocalPlatform) -> None:
    assert not platform.registry.device(PK, DN).activated

    connect(platform)
    connect(platform)

    assert platform.registry.device(PK, DN).activated
    assert len(platform.record.events("activate")) == 1


def test_a_will_is_accepted_and_ignored(platform: LocalPlatform) -> None:
    ident = client_id("dev", securemode=2, signmethod="hmacsha256").encode()
    password = sign(f"clientIddevdeviceName{DN}productKey{PK}").encode()
    fields = [ident, b"/a/b", b"gone", USER.encode(), password]
    body = b"\x00\x04MQTT\x04\xc6\x00\x3c"
    body += b"".join(len(f).to_bytes(2, "big") + f for f in fields)
    with MqttClient(platform) as client:
        client.send(1, 0, body)
        packet = client.receive()

    assert packet is not None
    assert packet.body == b"\x00\x00"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(b"\xc0\x00", id="PINGREQ first"),
        pytest.param(b"\x10\xff\xff\xff\xff\xff", id="a length without end"),
        pytest.param(b"\x10\xff\xff\xff\x7f", id="256 MB"),
        pytest.param(b"\x10\x04\x00\x09MQ", id="cut inside"),
        pytest.param(b"\xf0\x00", id="a type that is none"),
    ],
)
def test_closes_on_a_first_packet_that_is_no_connect(platform: LocalPlatform, data: bytes) -> None:
    with MqttClient(platform, tls=False) as client:
        client.send_raw(data)
        assert client.receive() is None

    assert connect(platform) == 0
