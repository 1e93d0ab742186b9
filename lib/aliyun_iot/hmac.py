"""HMAC (RFC 2104) over `hashlib`: hmacmd5, hmacsha1, hmacsha256. Stock firmware has none."""

import hashlib

from micropython import const

from .errors import ConfigError

_BLOCK = const(64)  # MD5, SHA-1 and SHA-256 alike work on blocks of 64 bytes


def hmac_hex(method, key, message):
    """Sign `message` with `key`: the lower-case hex str of the HMAC.

    method: "hmacmd5", "hmacsha1" or "hmacsha256", in any case (SPEC "signMethod").
    key, message: str (as UTF-8) or bytes.
    Raises ConfigError for any other method.
    """
    name = method.lower()
    if name not in ("hmacmd5", "hmacsha1", "hmacsha256"):
        raise ConfigError("signMethod: expected hmacmd5, hmacsha1 or hmacsha256")
    digest = getattr(hashlib, name[4:])
    if isinstance(key, str):
        key = key.encode()
    if isinstance(message, str):
        message = message.encode()
    if len(key) > _BLOCK:
        key = digest(key).digest()
    pad = bytearray(_BLOCK)
    pad[: len(key)] = key
    for i in range(_BLOCK):
        pad[i] ^= 0x36
    inner = digest(pad)
    inner.update(message)
    for i in range(_BLOCK):
        pad[i] ^= 0x36 ^ 0x5C
    outer = digest(pad)
    outer.update(inner.digest())
    return outer.digest().hex()
