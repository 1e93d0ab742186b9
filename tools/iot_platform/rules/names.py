"""Rules for names, and which device a topic belongs to.

Platform docs "RegisterDevice" (DeviceName), the C SDK's limits (keys and secrets) and "Limits"
(topics).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tools.iot_platform.rules.limits import TOPIC_BYTES, TOPIC_SLASHES

_DEVICE_NAME = re.compile(r"[A-Za-z0-9_@.:-]{4,32}")
_PRODUCT_KEY = re.compile(r"[A-Za-z0-9]{1,20}")
_SECRET = re.compile(r"[!-~]{1,64}")
_TOPIC = re.compile(
    r"/(?:sys|ext/session|ext/error|ext/ntp|ota/device/[^/]+|shadow/[^/]+)"
    r"/(?P<pk>[^/]+)/(?P<dn>[^/]+)(?:/.*)?"
)
_USER_TOPIC = re.compile(r"/(?P<pk>[^/]+)/(?P<dn>[^/]+)/.+")
_RRPC = re.compile(r"/ext/rrpc/[^/]+/(.+)")
_NOTICES = ("/ext/notify", "/ext/register", "/ext/regnwl")
_SHARED = ("/ext/", "/sys/", "/ota/", "/shadow/", "/broadcast/")


class Identity(NamedTuple):
    """What identifies a device: unlike MQTT clients at large, never its clientId."""

    product_key: str
    device_name: str

    def __str__(self) -> str:
        return f"{self.product_key}/{self.device_name}"


def is_device_name(text: object) -> bool:
    """4..32 of letters, digits and - _ @ . :"""
    return isinstance(text, str) and _DEVICE_NAME.fullmatch(text) is not None


def is_product_key(text: object) -> bool:
    """1..20 letters and digits (11 in practice)."""
    return isinstance(text, str) and _PRODUCT_KEY.fullmatch(text) is not None


def check_device_name(device_name: str) -> None:
    """Raises ValueError, without the value, when the DeviceName is outside the platform's rule.

    What stands in the wrong place of a file may be a secret.
    """
    if not is_device_name(device_name):
        raise ValueError("DeviceName: expected 4 to 32 letters, digits or any of - _ @ . :")


def check_product_key(product_key: str) -> None:
    """Raises ValueError, without the value, when the ProductKey is outside the platform's rule."""
    if not is_product_key(product_key):
        raise ValueError("ProductKey: expected 1 to 20 letters and digits")


def check_secret(name: str, secret: str) -> None:
    """Raises ValueError, without the value, when a secret is outside the platform's rule."""
    if not isinstance(secret, str) or _SECRET.fullmatch(secret) is None:
        raise ValueError(f"{name}: expected 1 to 64 printable ASCII characters without spaces")


def topic_owner(topic: str) -> Identity | None:
    """The device a topic belongs to; None for a topic that names no device."""
    match = _TOPIC.fullmatch(topic)
    if match is None and not topic.startswith(_SHARED):
        match = _USER_TOPIC.fullmatch(topic)
    return Identity(match["pk"], match["dn"]) if match else None


def may_share(wanted: str, product_keys: set[str]) -> bool:
    """Whether a topic filter that names no device is one that any device may have.

    That is a notice on /ext, an RRPC on a topic of its own, or a broadcast to one of
    `product_keys`.
    """
    levels = wanted.split("/")
    if levels[:2] == ["", "broadcast"] and len(levels) > 2:
        return levels[2] in product_keys
    return wanted in _NOTICES or wanted.startswith("/ext/rrpc/")


def is_system_topic(topic: str) -> bool:
    """Whether `_ss=1` in the clientId subscribes it: all but a user's own and broadcasts."""
    return topic.startswith(("/sys/", "/ext/", "/ota/", "/shadow/"))


def topic_problem(topic: str) -> str | None:
    """What breaks the platform's limits in a topic or topic filter, or None."""
    own = _RRPC.fullmatch(topic)
    if own:  # the limits are those of the topic inside
        topic = own[1]
    if len(topic.encode()) > TOPIC_BYTES:
        return f"longer than {TOPIC_BYTES} bytes"
    if topic.count("/") > TOPIC_SLASHES:
        return f"more than {TOPIC_SLASHES} slashes"
    return None


def check_topic(topic: str) -> None:
    """Raises ValueError when a message cannot be sent on a topic."""
    if not topic or "+" in topic or "#" in topic:
        raise ValueError(f"topic {topic!r}: expected a topic name without wildcards")
    if "\0" in topic:
        raise ValueError(f"topic {topic!r}: expected no NUL")
    try:
        problem = topic_problem(topic)
    except UnicodeEncodeError:
        problem = "expected text that UTF-8 can write"
    if problem:
        raise ValueError(f"topic {topic!r}: {problem}")


def filter_problem(wanted: str) -> str | None:
    """What is wrong with a topic filter, or None.

    Beside the platform's limits, a wildcard in the wrong place: MQTT 3.1.1, 4.7.1.
    """
    levels = wanted.split("/")
    for level in levels:
        if ("+" in level or "#" in level) and len(level) > 1:
            return "a wildcard that is only part of a level"
    if "#" in levels[:-1]:
        return "# before the last level"
    return topic_problem(wanted)


def filter_matches(topic_filter: str, topic: str) -> bool:
    """MQTT 3.1.1 section 4.7: whether a subscription covers a topic."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in ("+", given[index]):
            return False
    return len(wanted) == len(given)
