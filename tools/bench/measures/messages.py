"""The messages of a boot as bytes, made by the host for a board that computes nothing."""

from __future__ import annotations

import hashlib
import hmac
import struct
from urllib.parse import urlencode

from tools.bench.place import PRODUCT_KEY, PRODUCT_SECRET

RANDOM = "0123456789abcdef"


def _sign(secret: str, fields: dict[str, str]) -> str:
    content = "".join(name + fields[name] for name in sorted(fields))
    return hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()


def registration(name: str, port: int) -> bytes:
    """The HTTPS request that registers a device at that port."""
    fields = {"productKey": PRODUCT_KEY, "deviceName": name, "random": RANDOM}
    signed = {**fields, "sign": _sign(PRODUCT_SECRET, fields), "signMethod": "hmacsha256"}
    body = urlencode(signed)
    return (
        f"POST /auth/register/device HTTP/1.1\r\nHost: localhost:{port}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _packet(kind: int, rest: bytes) -> bytes:
    size, length = len(rest), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([kind]) + length + bytes([size]) + rest


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def login(name: str, secret: str) -> tuple[str, str, str]:
    """Client id, user name and password of a device."""
    ident = f"{PRODUCT_KEY}.{name}"
    fields = {"clientId": ident, "deviceName": name, "productKey": PRODUCT_KEY}
    client_id = f"{ident}|securemode=2,signmethod=hmacsha256,_ss=1|"
    return client_id, f"{name}&{PRODUCT_KEY}", _sign(secret, fields)


def connect(name: str, secret: str) -> bytes:
    """The CONNECT of a device."""
    rest = b"\0\4MQTT\4\xc2" + struct.pack("!H", 300)
    for text in login(name, secret):
        rest += _text(text)
    return _packet(0x10, rest)


def post(name: str) -> bytes:
    """The first property post of the shipped main.py."""
    payload = (
        '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"boots":1}}'
    )
    topic = f"/sys/{PRODUCT_KEY}/{name}/thing/event/property/post"
    return _packet(0x30, _text(topic) + payload.encode())
