"""The time over MQTT: /ext/ntp. Platform docs "NTP service"."""

from __future__ import annotations

import json
import time

from tools.iot_platform.alink.gateway import Gateways, compact
from tools.iot_platform.mqtt.packets import Publish
from tools.iot_platform.rules.codes import Refusal
from tools.iot_platform.rules.names import Identity

_LONGEST = 20
"""Digits of a time in milliseconds; 13 until the year 2286."""


def answer_time(gateways: Gateways, device: Identity, message: Publish) -> None:
    """Answers a question for the time, QoS 0; one that is none gets no answer.

    The device's own time, which it cannot know well, comes back as it was sent, so that the device
    can tell how long question and answer took.
    """
    received = _now()
    try:
        sent = _read_time(message.payload)
    except Refusal as refusal:
        gateways.record.add(
            "request", device, refusal.code, topic="ntp", answered=False, reason=refusal.why
        )
        return
    gateways.record.add("request", device, 200, topic="ntp", answered=True)
    answer = {"deviceSendTime": sent, "serverRecvTime": received, "serverSendTime": _now()}
    gateways.publish(device, f"/ext/ntp/{device}/response", compact(answer))


def _now() -> str:
    return str(time.time_ns() // 1_000_000)


def _read_time(payload: bytes) -> str:
    try:
        question = json.loads(payload)
    except (ValueError, RecursionError):
        raise Refusal(460, "not JSON") from None
    sent = question.get("deviceSendTime") if isinstance(question, dict) else None
    text = str(sent) if isinstance(sent, (str, int)) and not isinstance(sent, bool) else ""
    if not text.isdecimal() or not text.isascii() or len(text) > _LONGEST:
        raise Refusal(460, "deviceSendTime is no number of milliseconds")
    return text
