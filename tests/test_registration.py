"""HTTPS dynamic registration, its pure part: the request that is built, the answers that come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]

V1_SECRET = "ffFnFlKQW3HYjjPR"
V1_SIGN = "d3b560d5be0c9c19749470e85d912b65685fa4b20edcbd179ccfe98fcca23d5e"
V1_BODY = (
    "productKey=a1ExpAkj9Hi&deviceName=Example_dyn1&random=7y4Jg5xdKCy9W2i"
    f"&sign={V1_SIGN}&signMethod=hmacsha256"
)
NAMES = ["a1ExpAkj9Hi", "Example_dyn1"]
GRANTED = {
    "deviceName": "Example_dyn1",
    "deviceSecret": "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4",
    "productKey": "a1ExpAkj9Hi",
}


def read(on_device: OnDevice, answer: Any, status: int = 200) -> Any:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    given = [status, {"bytes": body.hex()}, *NAMES]
    (got,) = on_device("call.py", [["registration", "device_secret", given]])
    return got


def test_the_body_is_the_published_one_byte_for_byte(on_device: OnDevice) -> None:
    given = [*NAMES, V1_SECRET, "HmacSHA256", "7y4Jg5xdKCy9W2i"]
    (got,) = on_device("call.py", [["registration", "body", given]])
    assert got == V1_BODY
    assert len(got) == 161


def test_the_request_is_the_specifications(on_device: OnDevice) -> None:
    given = ["iot-auth.cn-shanghai.aliyuncs.com", 443, "/auth/register/device", V1_BODY]
    (got,) = on_device("call.py", [["https", "request", given]])
    head, body = bytes.fromhex(got["bytes"]).decode().split("\r\n\r\n")
    assert body == V1_BODY
    assert head.split("\r\n") == [
        "POST /auth/register/device HTTP/1.1",
        "Host: iot-auth.cn-shanghai.aliyuncs.com",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 161",
    ]


def test_the_host_header_names_a_port_that_is_not_the_usual_one(on_device: OnDevice) -> None:
    (got,) = on_device("call.py", [["https", "request", ["localhost", 8443, "/", "a=b"]]])
    assert bytes.fromhex(got["bytes"]).split(b"\r\n")[1] == b"Host: localhost:8443"


def test_a_device_name_with_colon_and_at_is_encoded_but_signed_as_it_is(
    on_device: OnDevice,
) -> None:
    given = ["pk", "a@b:c", "secret", "hmacsha1", "r"]
    params = {"productKey": "pk", "deviceName": "a@b:c", "random": "r"}
    body, sign = on_device(
        "call.py",
        [["registration", "body", given], ["sign", "sign", ["hmacsha1", "secret", params]]],
    )
    assert "deviceName=a%40b%3Ac&" in body
    assert f"&sign={sign}&" in body


def test_the_device_secret_is_taken_from_a_successful_answer(on_device: OnDevice) -> None:
    answer = {"code": 200, "data": GRANTED, "message": "success"}
    assert read(on_device, answer) == GRANTED["deviceSecret"]


@pytest.mark.parametrize(
    ("code", "error", "advice"),
    [
        (460, "RefusedError", "productKey and deviceName"),
        (6100, "RefusedError", "not pre-registered"),
        (6250, "RefusedError", "unknown ProductKey"),
        (6288, "RefusedError", "switch it on"),
        (6289, "RefusedError", "already active"),
        (6292, "RefusedError", "signMethod"),
        (6600, "RefusedError", "productSecret"),
        (429, "BusyError", "busy"),
        (500, "BusyError", "busy"),
        (7777, "RefusedError", "error codes"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_each_code_becomes_a_typed_error_with_advice(
    on_device: OnDevice, code: int, error: str, advice: str, status: int
) -> None:
    got = read(on_device, {"code": code, "message": "said so"}, status)
    assert (got["error"], got["code"], got["retry"]) == (error, code, error == "BusyError")
    assert advice in got["text"]
    assert str(code) in got["text"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "BusyError"), (500, "BusyError"), (503, "BusyError"), (404, "ProtocolError")],
)
def test_without_a_code_the_http_status_decides(
    on_device: OnDevice, status: int, error: str
) -> None:
    got = read(on_device, b"<html>no</html>", status)
    assert (got["error"], got["retry"]) == (error, True)
    assert str(status) in got["text"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe",
        [],
        {},
        None,
        200,
        {"code": "200", "data": GRANTED},
        {"code": True, "data": GRANTED},
        {"code": 200},
        {"code": 200, "data": [GRANTED]},
        {"code": 200, "data": GRANTED | {"deviceName": "another"}},
        {"code": 200, "data": GRANTED | {"productKey": "another"}},
        {"code": 200, "data": GRANTED | {"deviceSecret": ""}},
        {"code": 200, "data": GRANTED | {"deviceSecret": 12}},
        {"code": 200, "data": GRANTED | {"deviceSecret": "x" * 65}},
        {"code": 200, "data": GRANTED | {"deviceSecret": "sécret"}},
        {"code": 200, "data": GRANTED | {"deviceSecret": "a\nb"}},
    ],
    ids=str,
)
def test_an_answer_of_another_form_is_a_protocol_error(on_device: OnDevice, answer: Any) -> None:
    got = read(on_device, answer)
    assert (got["error"], got["retry"]) == ("ProtocolError", True)
    assert GRANTED["deviceSecret"] not in got["text"]
