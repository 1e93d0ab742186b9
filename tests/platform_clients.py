"""An independent client for the local platform's HTTPS endpoint, and names shared by its tests."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tools.iot_platform import LocalPlatform

PK, PS = "a1ExpAkj9Hi", "ffFnFlKQW3HYjjPR"
GATEWAY, SUB = "a1Gateway01", "a1Subdevic1"
DEADLINE = 5.0


def hmac_hex(method: str, key: str, content: str) -> str:
    """method: hmacmd5, hmacsha1 or hmacsha256."""
    return hmac.new(key.encode(), content.encode(), getattr(hashlib, method[4:])).hexdigest()


def tls_context(platform: LocalPlatform) -> ssl.SSLContext:
    """A client's TLS settings that trust the platform's CA and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=platform.ca_der)
    return context


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        loaded = json.loads(self.body)
        assert isinstance(loaded, dict)
        return loaded


def registration_form(
    device_name: str = "Example_dyn1",
    *,
    product_key: str = PK,
    secret: str = PS,
    method: str = "hmacsha256",
    random: str = "7y4Jg5xdKCy9W2i",
    changes: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """The form of a good request; changes: fields to replace, to add, or to leave out (None)."""
    content = f"deviceName{device_name}productKey{product_key}random{random}"
    form: dict[str, str | None] = {
        "productKey": product_key,
        "deviceName": device_name,
        "random": random,
        "sign": hmac_hex(method, secret, content),
        "signMethod": method,
        **(changes or {}),
    }
    return {name: value for name, value in form.items() if value is not None}


def post(
    platform: LocalPlatform,
    body: Mapping[str, str] | str,
    path: str = "/auth/register/device",
    method: str = "POST",
    timeout: float = DEADLINE,
) -> Answer:
    """One request over verified TLS."""
    connection = http.client.HTTPSConnection(
        "localhost", platform.https_port, timeout=timeout, context=tls_context(platform)
    )
    try:
        text = body if isinstance(body, str) else urlencode(body)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, text, headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()
