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
    # As numbers of 64 bytes: one operation in place of 64 steps of bytecode.
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")
    for byte in b"\x36\x5c":  # RFC 2104: ipad, opad
        pad = int.from_bytes(bytes((byte,)) * _BLOCK, "big")
        hashed = digest((number ^ pad).to_bytes(_BLOCK, "big"))
        hashed.update(message)
        message = hashed.digest()
    return message.hex()
