# HMAC-SHA-256 as scripts without a library write it, over the C digest of `hashlib`.
import binascii
import hashlib


def hmac_sha256(key, message):
    key = key.encode() + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in key) + message.encode()).digest()
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in key) + inner).digest()
    return binascii.hexlify(outer).decode()
