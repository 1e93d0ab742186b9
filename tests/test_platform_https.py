"""The local platform's HTTPS endpoint: requests it takes, codes it gives, bytes it sends."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from platform_clients import DEADLINE, PK, PS, hmac_hex, post, registration_form, tls_context

from tools.iot_platform import Behaviour, LocalPlatform

DN = "Example_dyn1"
V1 = (
    "productKey=a1ExpAkj9Hi&deviceName=Example_dyn1&random=7y4Jg5xdKCy9W2i&sign="
    "d3b560d5be0c9c19749470e85d912b65685fa4b20edcbd179ccfe98fcca23d5e&signMethod=hmacsha256"
)


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN)
        yield running


def code_of(platform: LocalPlatform, **changes: str | None) -> int:
    return int(post(platform, registration_form(changes=changes)).json["code"])


def exchange(platform: LocalPlatform, request: bytes) -> bytes:
    """Bytes there, all bytes back until the platform closes."""
    with (
        socket.create_connection(("127.0.0.1", platform.https_port), DEADLINE) as raw,
        tls_context(platform).wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(request)
        received = b""
        while piece := connection.recv(4096):
            received += piece
    return received


def test_answers_the_published_request_in_the_published_form(platform: LocalPlatform) -> None:
    answer = post(platform, V1)

    secret = platform.registry.device(PK, DN).device_secret
    assert answer.status == 200
    assert answer.body.decode() == (
        '{"code":200,"data":{"deviceName":"Example_dyn1","deviceSecret":"'
        + secret
        + '","productKey":"a1ExpAkj9Hi"},"message":"success"}'
    )
    assert re.fullmatch("[A-Za-z0-9]{32}", secret)


def test_sends_exactly_Content_Length_and_a_date(platform: LocalPlatform) -> None:
    head = f"POST /auth/register/device HTTP/1.1\r\nHost: x\r\nContent-Length: {len(V1)}\r\n"
    received = exchange(platform, (head + "Connection: close\r\n\r\n" + V1).encode())

    head_bytes, _, body = received.partition(b"\r\n\r\n")
    lines = head_bytes.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert f"Content-Length: {len(body)}" in lines
    assert not any("chunked" in line.lower() for line in lines)
    assert any(re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", x) for x in lines)


def test_keeps_the_connection_for_a_second_request(platform: LocalPlatform) -> None:
    connection = http.client.HTTPSConnection(
        "localhost", platform.https_port, timeout=DEADLINE, context=tls_context(platform)
    )
    for _ in range(2):
        connection.request("POST", "/auth/register/device", V1)
        assert connection.getresponse().read().startswith(b'{"code":200')
    connection.close()

    assert len(platform.record.events("connection")) == 1


@pytest.mark.parametrize("method", ["hmacmd5", "hmacsha1", "hmacsha256"])
def test_takes_each_sign_method(platform: LocalPlatform, method: str) -> None:
    assert post(platform, registration_form(method=method)).json["code"] == 200


@pytest.mark.parametrize("spelling", ["HmacSHA256", "hmac_sha256", "HMAC-SHA256", "hmacSha256"])
def test_takes_other_spellings_of_the_sign_method(platform: LocalPlatform, spelling: str) -> None:
    assert code_of(platform, signMethod=spelling) == 200


def test_refuses_other_spellings_when_told_to() -> None:
    with LocalPlatform(behaviour=Behaviour(lenient_spelling=False)) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN)

        assert code_of(platform, signMethod="HmacSHA256") == 6292
        assert code_of(platform) == 200


def test_takes_an_upper_case_sign(platform: LocalPlatform) -> None:
    assert code_of(platform, sign=registration_form()["sign"].upper()) == 200


def test_takes_the_parameters_in_any_order(platform: LocalPlatform) -> None:
    form = registration_form()

    assert post(platform, dict(sorted(form.items()))).json["code"] == 200


def test_takes_the_same_random_twice(platform: LocalPlatform) -> None:
    assert [code_of(platform), code_of(platform)] == [200, 200]


def test_decodes_percent_encoding_before_it_checks_the_sign(platform: LocalPlatform) -> None:
    platform.registry.add_device(PK, "a:b@c.d-e_f")
    form = registration_form("a:b@c.d-e_f", random="&=%+ é")

    assert "%3A" in urlencode(form)
    assert post(platform, form).json["data"]["deviceName"] == "a:b@c.d-e_f"


def test_takes_values_that_are_not_encoded(platform: LocalPlatform) -> None:
    platform.registry.add_device(PK, "a:b@c")
    form = registration_form("a:b@c")

    body = "&".join(f"{name}={value}" for name, value in form.items())
    assert post(platform, body).json["code"] == 200


def test_signs_every_parameter_but_sign_and_signMethod(platform: LocalPlatform) -> None:
    content = f"deviceName{DN}extra1productKey{PK}random1"
    changes = {"extra": "1", "sign": hmac_hex("hmacsha256", PS, content)}
    signed = registration_form(random="1", changes=changes)

    assert post(platform, signed).json["code"] == 200
    assert code_of(platform, extra="1") == 6600


@pytest.mark.parametrize("field", ["productKey", "deviceName", "random", "sign", "signMethod"])
@pytest.mark.parametrize("value", [None, ""])
def test_refuses_a_missing_or_empty_parameter(
    platform: LocalPlatform, field: str, value: str | None
) -> None:
    answer = post(platform, registration_form(changes={field: value}))

    assert answer.body == b'{"code":460,"message":"request parameter error"}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty"),
        pytest.param("garbage", id="no form"),
        pytest.param('{"productKey":"a1ExpAkj9Hi"}', id="JSON"),
        pytest.param(V1 + "&random=1", id="a parameter twice"),
        pytest.param(V1.replace("dyn1", "%ff%fe"), id="not UTF-8"),
        pytest.param(V1.replace("Example_dyn1", "abc"), id="DeviceName too short"),
        pytest.param(V1.replace("Example_dyn1", "a" * 33), id="DeviceName too long"),
        pytest.param(V1.replace("Example_dyn1", "a/bcd"), id="DeviceName with a slash"),
        pytest.param(V1.replace("a1ExpAkj9Hi", "a" * 21), id="ProductKey too long"),
        pytest.param(V1 + "".join(f"&x{n}=1" for n in range(9)), id="too many parameters"),
        pytest.param(V1 + "&x=" + "y" * 5000, id="too long"),
    ],
)
def test_refuses_a_body_that_is_no_request(platform: LocalPlatform, body: str) -> None:
    assert post(platform, body).json["code"] == 460


def test_refuses_an_unknown_product(platform: LocalPlatform) -> None:
    assert code_of(platform, productKey="a1Unknown00") == 6250


def test_refuses_a_product_whose_dynamic_registration_is_off(platform: LocalPlatform) -> None:
    platform.registry.set_dynamic_registration(PK, False)
    assert code_of(platform) == 6288

    platform.registry.set_dynamic_registration(PK, True)
    assert code_of(platform) == 200


def test_refuses_a_wrong_sign(platform: LocalPlatform) -> None:
    assert code_of(platform, sign="0" * 64) == 6600
    assert post(platform, registration_form(secret="wrong")).json["code"] == 6600
    assert platform.registry.device(PK, DN).registrations == 0


def test_refuses_a_sign_that_is_no_hex(platform: LocalPlatform) -> None:
    assert code_of(platform, sign="é") == 6600


def test_refuses_an_unknown_sign_method(platform: LocalPlatform) -> None:
    assert code_of(platform, signMethod="hmacsha512") == 6292


def test_refuses_a_device_that_was_not_pre_registered(platform: LocalPlatform) -> None:
    answer = post(platform, registration_form("unknown1"))

    assert answer.body == b'{"code":6100,"message":"device not found"}'


def test_refuses_a_deleted_device(platform: LocalPlatform) -> None:
    platform.delete(PK, DN)

    assert code_of(platform) == 6100


def test_refuses_a_disabled_device(platform: LocalPlatform) -> None:
    platform.disable(PK, DN)
    assert code_of(platform) == 6204

    platform.enable(PK, DN)
    assert code_of(platform) == 200


def test_gives_failures_the_http_status_it_is_told() -> None:
    with LocalPlatform(behaviour=Behaviour(http_failure_status=403)) as platform:
        answer = post(platform, V1)

    assert (answer.status, answer.json["code"]) == (403, 6250)


def test_can_give_another_code_for_an_unknown_device(platform: LocalPlatform) -> None:
    platform.behaviour.unknown_device_code = 460

    assert post(platform, registration_form("unknown1")).json["code"] == 460


def test_knows_one_path_and_one_method(platform: LocalPlatform) -> None:
    assert post(platform, V1, path="/auth/register").status == 404
    assert post(platform, V1, method="PUT").status == 405
    assert [event.code for event in platform.record.events("http")] == [404, 405]


def test_survives_bytes_that_are_no_http(platform: LocalPlatform) -> None:
    assert exchange(platform, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.0 400")

    assert post(platform, V1).status == 200
