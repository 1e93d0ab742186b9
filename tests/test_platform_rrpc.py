"""RRPC: the cloud asks a device and waits for its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from mqtt_client import MqttClient
from platform_clients import PK
from platform_devices import DN, DS, POST, SYS, device_platform

from tools.iot_platform import LocalPlatform

OWN = f"/{PK}/{DN}/user/get"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


@pytest.fixture
def device(platform: LocalPlatform) -> Iterator[MqttClient]:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS, extra={"ext": 3}) == 0
        yield client


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as running:
        yield running


def test_the_answer_to_a_system_request_is_returned(
    platform: LocalPlatform, device: MqttClient, pool: ThreadPoolExecutor
) -> None:
    asked: Future[bytes] = pool.submit(platform.rrpc, PK, DN, b"lamp?")
    topic, payload = device.message()
    match = re.fullmatch(f"{SYS}/rrpc/request/([0-9]+)", topic)
    assert match and payload == b"lamp?"
    device.publish(f"{SYS}/rrpc/response/{match[1]}", b"\x00on")

    assert asked.result(5) == b"\x00on"


@pytest.mark.parametrize("own", [OWN, OWN[1:]])
def test_the_answer_on_a_topic_of_ones_own_is_returned(
    platform: LocalPlatform, device: MqttClient, pool: ThreadPoolExecutor, own: str
) -> None:
    asked: Future[bytes] = pool.submit(platform.rrpc, PK, DN, b"lamp?", own)
    topic, payload = device.message()
    assert re.fullmatch(f"/ext/rrpc/[0-9]+/{own}", topic) and payload == b"lamp?"
    device.publish(topic, b"off", qos=1)

    assert asked.result(5) == b"off"


def test_answers_are_told_apart_by_their_id(
    platform: LocalPlatform, device: MqttClient, pool: ThreadPoolExecutor
) -> None:
    asked = {text: pool.submit(platform.rrpc, PK, DN, text) for text in (b"1", b"2")}
    got = {payload: topic for topic, payload in (device.message(), device.message())}
    for text in (b"2", b"1"):
        device.publish(got[text].replace("request", "response"), b"answer to " + text)

    assert {text: asked[text].result(5) for text in asked} == {
        b"1": b"answer to 1",
        b"2": b"answer to 2",
    }


def test_silence_is_a_timeout(platform: LocalPlatform, device: MqttClient) -> None:
    with pytest.raises(TimeoutError, match="no answer within"):
        platform.rrpc(PK, DN, b"?", timeout=0.2)
    topic, _ = device.message()
    device.publish(topic.replace("request", "response"), b"late")

    assert device.request(POST, {})["code"] == 200, "a late answer harms nobody"


def test_an_answer_on_its_own_topic_that_nobody_waits_for_is_refused(
    platform: LocalPlatform, device: MqttClient
) -> None:
    device.publish(f"/ext/rrpc/12345/{OWN}", b"x")

    (event,) = platform.record.wait_for("publish")
    assert event.code == 403


def test_another_device_cannot_answer(
    platform: LocalPlatform, device: MqttClient, pool: ThreadPoolExecutor
) -> None:
    with MqttClient(platform) as other:
        other.connect_device(PK, "another1", DS, extra={"ext": 3})
        asked: Future[bytes] = pool.submit(platform.rrpc, PK, DN, b"?", OWN)
        topic, _ = device.message()
        other.publish(topic, b"mine")
        platform.record.wait_for("publish", code=403)
        device.publish(topic, b"its own")

        assert asked.result(5) == b"its own"


@pytest.mark.parametrize(("ext", "allowed"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_topic_of_ones_own_needs_bit_0_of_ext(
    platform: LocalPlatform, ext: int, allowed: bool
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra={"ext": ext})
        with pytest.raises(TimeoutError if allowed else LookupError):
            platform.rrpc(PK, DN, b"?", OWN, timeout=0.1)


def test_an_offline_device_cannot_be_asked(platform: LocalPlatform) -> None:
    with pytest.raises(LookupError, match="offline or not subscribed"):
        platform.rrpc(PK, DN, b"?")


@pytest.mark.parametrize("topic", ["", "/a/+", "#", "/" + "x" * 128])
def test_a_topic_must_be_one(platform: LocalPlatform, device: MqttClient, topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        platform.rrpc(PK, DN, b"?", topic)
