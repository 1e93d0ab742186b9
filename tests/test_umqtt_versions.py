"""Another client with a device's credentials: each umqtt.simple that stock firmware freezes.

PyPI holds 1.3.4 only. The later ones are made of it here, by the changes that each release made:
the constructor, `connect`, `subscribe`, the imports, helpers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MAC, PRODUCT_KEY, MakeBoard, product_of

from tools.iot_platform import LocalPlatform
from tools.layout import FROZEN

SOURCE = (FROZEN / "umqtt" / "simple.py").read_text()

MAIN = """
from umqtt.simple import MQTTClient
from aliyun_iot.device import Device

client_id, user, password = Device.open().credentials()
client = MQTTClient(client_id, "localhost", PORT, user, password, 60)
client.set_callback(lambda topic, payload: print("message", topic.decode()[-10:]))
client.connect()
client.publish(TOPIC, b'{"id":"1","params":{}}', qos=1)
print("acknowledged")
client.wait_msg()
"""


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


@pytest.mark.parametrize("version", [name for name, _ in CHANGES])
def test_plain_umqtt_connects_with_the_credentials(
    platform: LocalPlatform, make_board: MakeBoard, tmp_path: Path, version: str
) -> None:
    frozen = tmp_path / "frozen" / "umqtt"
    frozen.mkdir(parents=True)
    (frozen / "simple.py").write_text(source_of(version))
    topic = f"/sys/{PRODUCT_KEY}/{MAC}/thing/event/property/post"
    main = MAIN.replace("PORT", str(platform.mqtt_tcp_port)).replace("TOPIC", repr(topic))
    board: Any = make_board(product_of(platform, securemode=3), main=main)
    board.frozen = frozen.parent
    said = board.boot("message .*", timeout=20).output
    assert "acknowledged\n" in said
    assert "message post_reply" in said
