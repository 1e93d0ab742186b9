"""HMAC, urlencode and the platform's signing rule, in MicroPython."""

from __future__ import annotations

import hashlib
import hmac
import random
import string
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
METHODS = {"hmacmd5": hashlib.md5, "hmacsha1": hashlib.sha1, "hmacsha256": hashlib.sha256}

TRUNCATED_IN_RFC = "Test With Truncation"
LONG_KEY_SHORT = "Test Using Larger Than Block-Size Key - Hash Key First"
RFC2202_MD5 = [
    ("0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    (b"Jefe".hex(), b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
    ("aa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
    (bytes(range(1, 26)).hex(), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
    ("0c" * 16, TRUNCATED_IN_RFC.encode(), "56461ef2342edc00f9bab995690efd4c"),
    ("aa" * 80, LONG_KEY_SHORT.encode(), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
    (
        "aa" * 80,
        b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
        "6f630fad67cda0ee1fb1f562db3aa53e",
    ),
]
RFC2202_SHA1 = [
    ("0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    (b"Jefe".hex(), b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ("aa" * 20, b"\xdd" * 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
    (bytes(range(1, 26)).hex(), b"\xcd" * 50, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"),
    ("0c" * 20, TRUNCATED_IN_RFC.encode(), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
    ("aa" * 80, LONG_KEY_SHORT.encode(), "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
    (
        "aa" * 80,
        b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
        "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
    ),
]
RFC4231_SHA256 = [
    ("0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "aa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)).hex(),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    # RFC 4231 prints the first 128 bits of this one.
    ("0c" * 20, TRUNCATED_IN_RFC.encode(), "a3b6167473100ee06e0c796c2955552b"),
    (
        "aa" * 131,
        LONG_KEY_SHORT.encode(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "aa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(
    ("method", "vectors"),
    [("hmacmd5", RFC2202_MD5), ("hmacsha1", RFC2202_SHA1), ("hmacsha256", RFC4231_SHA256)],
)
def test_hmac_gives_the_rfc_vectors(
    on_device: OnDevice, method: str, vectors: list[tuple[str, bytes, str]]
) -> None:
    got = on_device("hmac_cases.py", [[method, key, text.hex()] for key, text, _ in vectors])
    wanted = [result for _, _, result in vectors]
    assert [hex_[: len(want)] for hex_, want in zip(got, wanted, strict=True)] == wanted


def test_hmac_agrees_with_cpython_on_500_random_cases(on_device: OnDevice) -> None:
    chance = random.Random(2202)
    cases = []
    for i in range(500):
        size = (0, 63, 64, 65, 200)[i % 5] if i < 50 else chance.randrange(201)
        key, text = chance.randbytes(size), chance.randbytes(chance.randrange(300))
        cases.append((chance.choice(list(METHODS)), key, text))
    got = on_device("hmac_cases.py", [[m, k.hex(), t.hex()] for m, k, t in cases])
    assert got == [hmac.new(k, t, METHODS[m]).hexdigest() for m, k, t in cases]


def test_hmac_takes_text_as_utf8_and_a_method_in_any_case(on_device: OnDevice) -> None:
    (got,) = on_device("call.py", [["hmac", "hmac_hex", ["HmacSHA256", "schlüssel", "产品"]]])
    assert got == hmac.new("schlüssel".encode(), "产品".encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("method", ["sha256", "hmacsha512", "hmac_md5", ""])
def test_an_unknown_sign_method_is_a_config_error(on_device: OnDevice, method: str) -> None:
    (got,) = on_device("call.py", [["hmac", "hmac_hex", [method, "key", "text"]]])
    assert (got["error"], got["retry"]) == ("ConfigError", False)
    assert "hmacmd5, hmacsha1 or hmacsha256" in got["text"]


def test_urlencode_agrees_with_cpython_on_500_random_strings(on_device: OnDevice) -> None:
    chance = random.Random(1738)
    alphabet = string.printable + "äßé漢字\U0001f512\u00ff\u0100"
    texts = ["".join(chance.choices(alphabet, k=chance.randrange(40))) for _ in range(500)]
    pairs = [[texts[i], texts[-i]] for i in range(500)]
    got = on_device("call.py", [["urlencode", "urlencode", [[pair]]] for pair in pairs])
    assert got == [urllib.parse.urlencode([(a, b)]) for a, b in pairs]


def test_urlencode_takes_bytes_and_numbers(on_device: OnDevice) -> None:
    raw = bytes(range(256))
    (got,) = on_device(
        "call.py", [["urlencode", "urlencode", [[["n", 5], ["b", {"bytes": raw.hex()}]]]]]
    )
    assert got == urllib.parse.urlencode([("n", 5), ("b", raw)])


def test_urlencode_keeps_the_order_of_the_pairs(on_device: OnDevice) -> None:
    (got,) = on_device("call.py", [["urlencode", "urlencode", [[["b", "1"], ["a", "2 3"]]]]])
    assert got == "b=1&a=2+3"


@pytest.mark.parametrize(
    ("method", "secret", "params", "result"),
    [
        pytest.param(
            "hmacsha1",
            "2o8iZ3jLuDd40JIKlRRPAhQSfjqbhkkH",
            {
                "clientId": "a13Npv1vjZ4.example1",
                "deviceName": "example1",
                "productKey": "a13Npv1vjZ4",
                "timestamp": "453313937",
            },
            "db001f871e4cff9698a433b65ba0f3ef27af398d",
            id="topology of a sub-device",
        ),
        pytest.param(
            "hmacsha1",
            "secret",
            {
                "timestamp": "789",
                "productKey": "pk",
                "deviceName": "device",
                "clientId": "12345",
            },
            "FAFD82A3D602B37FB0FA8B7892F24A477F851A14".lower(),
            id="connect with hmacsha1",
        ),
        pytest.param(
            "hmacmd5",
            "Y877Bgo8X5owd3lcB5wWDjryNPoB",
            {
                "clientId": "123456789.abcdefg",
                "deviceName": "abcdefg",
                "productKey": "123456789",
                "timestamp": "32472115200",
            },
            "16CB9B20009795D576E9172CDC820646".lower(),
            id="connect with hmacmd5",
        ),
    ],
)
def test_sign_gives_the_published_vectors(
    on_device: OnDevice, method: str, secret: str, params: dict[str, str], result: str
) -> None:
    assert on_device("call.py", [["sign", "sign", [method, secret, params]]]) == [result]


def test_the_specifications_example_is_spliced_without_separators(on_device: OnDevice) -> None:
    params = {"random": "123", "productKey": "1234556554", "deviceName": "deviceName1234"}
    params |= {"sign": "adfv123hdfdh", "signMethod": "HmacMD5"}
    (got,) = on_device("call.py", [["sign", "splice", [params]]])
    assert got == "deviceNamedeviceName1234productKey1234556554random123"
