"""MQTT dynamic registration, its pure part: what the CONNECT says, the answers that come."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]

NAMES = ["a1ExpAkj9Hi", "Example_dyn1"]
RANDOM = "7y4Jg5xdKCy9W2i"
IDENTITY = {"deviceName": "Example_dyn1", "productKey": "a1ExpAkj9Hi"}
SECRET = IDENTITY | {"deviceSecret": "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"}
TOKEN = IDENTITY | {"clientId": "the.client", "deviceToken": "the-token-of-the-client"}


def read(on_device: OnDevice, answer: Any, topic: str = "/ext/register") -> Any:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    given = [{"bytes": topic.encode().hex()}, {"bytes": body.hex()}, *NAMES]
    (got,) = on_device("call.py", [["registration_mqtt", "device_certificate", given]])
    return got


@pytest.mark.parametrize(
    ("method", "digest"), [("hmacmd5", "md5"), ("hmacsha1", "sha1"), ("HmacSHA256", "sha256")]
)
@pytest.mark.parametrize(
    ("way", "mode", "auth"), [("mqtt", 2, "register"), ("mqtt-free", -2, "regnwl")]
)
def test_the_connect_asks_for_registration_signed_with_the_product_secret(
    on_device: OnDevice, method: str, digest: str, way: str, mode: int, auth: str
) -> None:
    product = IDENTITY | {"productSecret": "secret", "signMethod": method, "registration": way}
    (got,) = on_device(
        "call.py",
        [["registration_mqtt", "credentials", [product, "mqtt.example.com", RANDOM]]],
    )
    signed = f"deviceNameExample_dyn1productKeya1ExpAkj9Hirandom{RANDOM}".encode()
    assert got == [
        f"a1ExpAkj9Hi.Example_dyn1|securemode={mode},authType={auth},random={RANDOM}"
        f",signmethod={method.lower()}|",
        "Example_dyn1&a1ExpAkj9Hi",
        hmac.new(b"secret", signed, digest).hexdigest(),
    ]


@pytest.mark.parametrize("answer", [SECRET, TOKEN], ids=["secret", "token"])
@pytest.mark.parametrize("topic", ["/ext/register", "/ext/regnwl"])
def test_the_identity_is_taken_from_the_answer(
    on_device: OnDevice, answer: Any, topic: str
) -> None:
    assert read(on_device, answer | {"more": 1}, topic) == answer


def test_a_message_on_another_topic_is_no_answer(on_device: OnDevice) -> None:
    assert read(on_device, SECRET, "/ext/error/a1ExpAkj9Hi/Example_dyn1") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe",
        [SECRET],
        {},
        None,
        200,
        IDENTITY,
        SECRET | {"deviceName": "another"},
        SECRET | {"productKey": "another"},
        SECRET | {"deviceSecret": ""},
        SECRET | {"deviceSecret": 12},
        SECRET | {"deviceSecret": "x" * 65},
        SECRET | {"deviceSecret": "sécret"},
        SECRET | {"deviceSecret": "a\nb"},
        TOKEN | {"deviceToken": ""},
        TOKEN | {"deviceToken": None},
        TOKEN | {"deviceToken": "x" * 129},
        TOKEN | {"clientId": ""},
        TOKEN | {"clientId": "x" * 129},
        IDENTITY | {"deviceToken": "the-token-of-the-client"},
    ],
    ids=str,
)
def test_an_answer_of_another_form_is_a_protocol_error(on_device: OnDevice, answer: Any) -> None:
    got = read(on_device, answer)
    assert (got["error"], got["retry"]) == ("ProtocolError", True)
    assert SECRET["deviceSecret"] not in got["text"]
    assert TOKEN["deviceToken"] not in got["text"]
