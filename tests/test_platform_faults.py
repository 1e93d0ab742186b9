"""Injected faults of the local platform: each takes effect as often as asked, then no more."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from mqtt_client import MqttClient
from platform_clients import DEADLINE, PK, PS, post, registration_form, tls_context

from tools.iot_platform import LocalPlatform

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
BROKEN = (ConnectionError, http.client.HTTPException, ssl.SSLError)


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        yield running


@contextmanager
def https(platform: LocalPlatform) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", platform.https_port), DEADLINE) as raw,
        tls_context(platform).wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        head = b"POST /auth/register/device HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(head + b"Content-Length: 0\r\n\r\n")
        yield connection


def read_all(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while piece := connection.recv(4096):
        received += piece
    return received


def register(platform: LocalPlatform) -> int:
    return int(post(platform, registration_form()).json["code"])


def test_a_lost_https_answer_took_effect(platform: LocalPlatform) -> None:
    platform.faults.drop_next_register_answer()

    with pytest.raises(BROKEN):
        register(platform)
    assert platform.registry.device(PK, DN).device_secret != DS
    assert platform.record.events("register")[0].details["answered"] is False
    assert register(platform) == 200


def test_a_lost_mqtt_answer_took_effect(platform: LocalPlatform) -> None:
    platform.faults.drop_next_register_answer()

    with MqttClient(platform) as client:
        assert client.register(DN) == 0
        assert client.receive() is None
    assert platform.registry.device(PK, DN).device_secret != DS
    with MqttClient(platform) as client:
        client.register(DN)
        assert client.message()[0] == "/ext/register"


def test_an_answer_may_never_come(platform: LocalPlatform) -> None:
    platform.faults.drop_next_register_answer(times=2, stay_open=True)

    with MqttClient(platform) as client:
        client.register(DN)
        with pytest.raises(TimeoutError):
            client.receive(0.3)
    connection = http.client.HTTPSConnection(
        "localhost", platform.https_port, timeout=0.3, context=tls_context(platform)
    )
    connection.request("POST", "/auth/register/device", urlencode(registration_form()))
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_an_answer_may_come_late_and_in_pieces(platform: LocalPlatform) -> None:
    platform.faults.slow_register_answer(delay=0.2, piece=1, pause=0.0005, times=2)
    began = time.monotonic()
    answer = post(platform, registration_form())

    assert time.monotonic() - began > 0.25
    assert answer.json["data"]["deviceSecret"] == platform.registry.device(PK, DN).device_secret
    assert dict(answer.headers)["Content-Length"] == str(len(answer.body))
    with MqttClient(platform) as client:
        client.register(DN)
        topic, payload = client.message()
    secret = platform.registry.device(PK, DN).device_secret
    assert (topic, json.loads(payload)["deviceSecret"]) == ("/ext/register", secret)


@pytest.mark.parametrize("code", [429, 500, 6289])
def test_a_registration_may_get_any_code(platform: LocalPlatform, code: int) -> None:
    platform.faults.register_code(code, times=2)

    assert [register(platform) for _ in range(3)] == [code, code, 200]
    assert platform.registry.device(PK, DN).registrations == 1


def test_raw_bytes_may_stand_for_an_http_answer(platform: LocalPlatform) -> None:
    platform.faults.raw_http(b"HTTP/1.1 200 OK\r\nConte")
    platform.faults.raw_http([b"HTTP/1.1 ", b"204 x\r\n\r\n"], pause=0.01)

    for expected in (b"HTTP/1.1 200 OK\r\nConte", b"HTTP/1.1 204 x\r\n\r\n"):
        with https(platform) as connection:
            assert read_all(connection) == expected
    with https(platform) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_raw_bytes_may_be_followed_by_silence(platform: LocalPlatform) -> None:
    platform.faults.raw_http(b"HTTP/1.1 200 OK\r\n", stay_open=True)

    with https(platform) as connection:
        assert connection.recv(4096) == b"HTTP/1.1 200 OK\r\n"
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_stopping_does_not_wait_for_a_silent_answer() -> None:
    platform = LocalPlatform().start()
    platform.faults.raw_http(b"x", stay_open=True)
    with https(platform) as connection:
        assert connection.recv(1) == b"x"
        began = time.monotonic()
        platform.stop()

    assert time.monotonic() - began < 10


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 77])
def test_a_connect_may_get_any_code(platform: LocalPlatform, code: int) -> None:
    platform.faults.connack(code)

    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == code
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == 0


def test_a_connect_may_get_no_connack(platform: LocalPlatform) -> None:
    platform.faults.connack(None)

    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) is None
    assert platform.record.events("connect", code=256)


def test_connections_may_be_refused(platform: LocalPlatform) -> None:
    platform.faults.refuse_connection(times=2)

    for _ in range(2):
        with pytest.raises((ConnectionError, ssl.SSLError)):
            MqttClient(platform)
    assert register(platform) == 200


def test_a_handshake_may_stall(platform: LocalPlatform) -> None:
    platform.faults.stall_handshake()
    with (
        socket.create_connection(("127.0.0.1", platform.https_port), 0.3) as raw,
        pytest.raises(TimeoutError),
    ):
        tls_context(platform).wrap_socket(raw, server_hostname="localhost")

    assert register(platform) == 200


def test_clear_disarms(platform: LocalPlatform) -> None:
    platform.faults.connack(5, times=9)
    platform.faults.refuse_connection(times=9)
    platform.faults.raw_http(b"x", times=9)
    platform.faults.edit_reply = lambda topic, payload: []
    platform.faults.clear()

    assert register(platform) == 200
    assert platform.faults.edit_reply is None


@pytest.fixture
def device(platform: LocalPlatform) -> Iterator[MqttClient]:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == 0
        yield client


POST = f"/sys/{PK}/{DN}/thing/event/property/post"


def test_a_reply_may_be_lost(platform: LocalPlatform, device: MqttClient) -> None:
    platform.faults.edit_reply = lambda topic, payload: []
    device.publish(POST, b'{"id":"1","params":{}}')
    platform.record.wait_for("fault")
    platform.faults.edit_reply = None

    assert device.request(POST, {}, "2")["id"] == "2"


def test_a_reply_may_be_doubled_changed_and_late(
    platform: LocalPlatform, device: MqttClient
) -> None:
    platform.faults.edit_reply = lambda topic, payload: [
        (0.2, topic, payload),
        (0, topic, payload.replace(b'"id":"1"', b'"id":"9"')),
        (0, topic, b"garbage"),
    ]
    device.publish(POST, b'{"id":"1","params":{}}')
    replies = [device.message()[1] for _ in range(3)]

    assert json.loads(replies[0])["id"] == "9"
    assert replies[1] == b"garbage"
    assert json.loads(replies[2])["id"] == "1"
