"""The identity with plain umqtt.simple, of each release that stock firmware freezes.

PyPI holds 1.3.4 only, which takes no TLS context. The later ones are made of it here, by the
changes that each release made: the constructor, `connect`, `subscribe`, the imports, helpers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MAC, PRODUCT_KEY, MakeBoard

from tools.bench.place import with_ssl
from tools.image import compile_source
from tools.iot_platform import LocalPlatform
from tools.layout import FROZEN, ROOT

SOURCE = (FROZEN / "umqtt" / "simple.py").read_text()

EXAMPLE = (ROOT / "docs" / "examples" / "umqtt_simple.py").read_text()


def change(source: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


def context_only(source: str) -> str:  # 1.4: ssl is an SSLContext, ssl_params are gone
    return change(
        source,
        ("ssl=False, ssl_params={}", "ssl=None"),
        ("        self.ssl_params = ssl_params\n", ""),
        ("            import ussl\n", ""),
        (
            "ussl.wrap_socket(self.sock, **self.ssl_params)",
            "self.ssl.wrap_socket(self.sock, server_hostname=self.server)",
        ),
    )


def with_timeout(source: str) -> str:  # 1.5: connect(timeout=)
    return change(
        source,
        ("clean_session=True):", "clean_session=True, timeout=None):"),
        ("socket.socket()\n", "socket.socket()\n        self.sock.settimeout(timeout)\n"),
    )


def legacy_back(source: str) -> str:  # 1.6: ssl_params are back, beside a context
    return change(
        source,
        ("ssl=None", "ssl=None, ssl_params={}"),
        (
            "        self.ssl = ssl\n",
            "        self.ssl = ssl\n        self.ssl_params = ssl_params\n",
        ),
    )


def unsubscribing(source: str) -> str:  # 1.7: unsubscribe
    return source + "\n    def unsubscribe(self, topic):\n        raise NotImplementedError\n"


def closing(source: str) -> str:  # 1.7.1: connect closes the socket it had
    return change(
        source,
        (
            "        self.sock = socket.socket()\n",
            "        if self.sock:\n            self.sock.close()\n"
            "        self.sock = socket.socket()\n",
        ),
    )


def long_topics(source: str) -> str:  # 1.8: lengths by a helper, no u-names, longer SUBSCRIBE
    return change(
        source,
        ("import usocket as socket", "import socket"),
        ("import ustruct as struct", "import struct"),
        ("from ubinascii import hexlify\n", ""),
        (
            "class MQTTException",
            "def _encode_len(pkt, sz):\n    i = 1\n    while sz > 0x7f:\n"
            "        pkt[i] = (sz & 0x7f) | 0x80\n        sz >>= 7\n        i += 1\n"
            "    pkt[i] = sz\n    return i\n\n\nclass MQTTException",
        ),
        (
            "        i = 1\n        while sz > 0x7f:\n            pkt[i] = (sz & 0x7f) | 0x80\n"
            "            sz >>= 7\n            i += 1\n        pkt[i] = sz\n",
            "        i = _encode_len(pkt, sz)\n",
        ),
    )


CHANGES: list[tuple[str, Callable[[str], str]]] = [
    ("1.3.4", str),
    ("1.4.0", context_only),
    ("1.5.0", with_timeout),
    ("1.6.0", legacy_back),
    ("1.7.0", unsubscribing),
    ("1.7.1", closing),
    ("1.8.0", long_topics),
]


def source_of(version: str) -> str:
    source = SOURCE
    for name, step in CHANGES:
        source = step(source)
        if name == version:
            return source
    raise ValueError(version)


@pytest.mark.parametrize("version", [name for name, _ in CHANGES[1:]])
def test_plain_umqtt_connects_with_the_identity(
    platform: LocalPlatform, make_board: MakeBoard, tmp_path: Path, version: str
) -> None:
    frozen = tmp_path / "frozen" / "umqtt"
    frozen.mkdir(parents=True)
    (frozen / "simple.py").write_text(source_of(version))
    board: Any = make_board(main=EXAMPLE)
    board.frozen = frozen.parent
    result = board.boot("message on .*post_reply", timeout=20)
    assert result.ending == "until", result.output
    (connect,) = platform.record.events("connect", PRODUCT_KEY, MAC)
    assert (connect.code, connect.details["tls"]) == (0, "TLSv1.2")


@pytest.mark.parametrize("version", [name for name, _ in CHANGES])
def test_the_benchmarks_peer_may_be_any_release(version: str) -> None:
    source = with_ssl(source_of(version))
    assert "import ussl" not in source
    compile_source(source.encode(), "simple.py")
