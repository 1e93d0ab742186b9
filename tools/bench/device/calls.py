# Main script: microseconds per call of HMAC and urlencode, the package's and others'.
import binascii
import gc
import hashlib
import hashlib._sha256 as pypi_sha256
import hmac as pypi_hmac
import time
from urllib.parse import urlencode as pypi_urlencode

from aliyun_iot.hmac import hmac_hex
from aliyun_iot.urlencode import urlencode

ROUNDS = int("$ROUNDS")
KEY = "ffFnFlKQW3HYjjPR"
TEXT = "deviceName246f28aabbccproductKeya1ExpAkj9Hirandom0123456789abcdef"
PAIRS = (
    ("productKey", "a1ExpAkj9Hi"),
    ("deviceName", "246f28aabbcc"),
    ("random", "0123456789abcdef"),
    ("sign", "d1d7ed8a2ba1fcb6f8fd3e6a5c3a4d5a1d62d4a1b7f34f42b1a5b0f0b7a63d11"),
    ("signMethod", "hmacsha256"),
)
key = KEY.encode()
text = TEXT.encode()
pad = bytes(64)


def digests(digest):
    inner = digest(pad)
    inner.update(text)
    outer = digest(pad)
    outer.update(inner.digest())
    return binascii.hexlify(outer.digest())


def own(key, message):
    key = key.encode() + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in key) + message.encode()).digest()
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in key) + inner).digest()
    return binascii.hexlify(outer).decode()


def take(name, call, rounds):
    best = None
    for _ in range(5):
        gc.collect()
        began = time.ticks_us()
        for _ in range(rounds):
            call()
        took = time.ticks_diff(time.ticks_us(), began) / rounds
        best = took if best is None or took < best else best
    print("call", best, name)


def hmacs(method):
    digest = getattr(hashlib, method)
    name = "hmac" + method
    take(name + ": hmac_hex", lambda: hmac_hex(name, KEY, TEXT), ROUNDS)
    take(name + ": the bare digests", lambda: digests(digest), ROUNDS)


for method in ("md5", "sha1", "sha256"):
    hmacs(method)
take("hmacsha256: eight lines of a naive script", lambda: own(KEY, TEXT), ROUNDS)
take(
    "hmacsha256: micropython-hmac with micropython-hashlib",
    lambda: pypi_hmac.new(key, text, pypi_sha256.sha256).hexdigest(),
    max(1, ROUNDS // 50),
)
take("urlencode", lambda: urlencode(PAIRS), ROUNDS)
take("urlencode: micropython-urllib.parse", lambda: pypi_urlencode(PAIRS), ROUNDS)
take(
    "urlencode: joined without escaping", lambda: "&".join([n + "=" + v for n, v in PAIRS]), ROUNDS
)
print("end of calls")
