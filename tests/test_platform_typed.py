"""Lines typed at the running platform: quotes, formats, faults of one device, stray bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, PS, post, registration_form
from platform_process import DN, Running

from tools.iot_platform import LocalPlatform
from tools.iot_platform.process.commands import Commands


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN)
        running.registry.add_product(GATEWAY, node_type="gateway")
        running.registry.add_device(GATEWAY, "gateway01", "gatewaySecret")
        yield running


@pytest.fixture
def commands(platform: LocalPlatform) -> Commands:
    return Commands(platform)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("fault connack 256", "'256': expected a number from 1 to 255"),
        ("fault code 0", "'0': expected a number from 1 to 9999"),
        ("fault lost 1 2", "'2': one word too many"),
        ("fault clear 1", "'1': one word too many"),
        ("fault lost 0", "'0': expected a number from 1 to 1000"),
        ("fault a/bcde lost", "no device a/bcde"),
        (
            f"fault {PK}/{DN} nonsense",
            "fault: expected lost, slow, certificate, refuse or disconnect",
        ),
        (
            f"fault {PK}/{DN} slow 5",
            "'5': expected NAME=VALUE, such as times=3 or seconds=5",
        ),
        (f"fault {PK}/{DN} slow seconds=x", "seconds: expected a number from 0 to 120"),
        ("events 0", "'0': expected a number from 1 to 999999999"),
        ("events \u00b2", "'\u00b2': expected a number"),
    ],
)
def test_a_wrong_number_or_setting_is_answered(commands: Commands, text: str, answer: str) -> None:
    assert commands.run(text) == answer


@pytest.mark.parametrize(
    ("quoted", "payload"),
    [
        ("'{\"lamp\": 1}'", b'{"lamp": 1}'),
        ('"a b"', b"a b"),
        ("a\\ b", b"a b"),
        ("'it'\"'\"'s'", b"it's"),
        ("''", b""),
        ("'灯'", "灯".encode()),
    ],
)
def test_a_payload_in_quotes(
    commands: Commands, platform: LocalPlatform, quoted: str, payload: bytes
) -> None:
    device = f"{GATEWAY}/gateway01"
    with MqttClient(platform) as client:
        client.connect_device(GATEWAY, "gateway01", "gatewaySecret")
        assert commands.run(f"publish {device} /sys/{device}/a {quoted}") == "sent"
        assert client.message() == (f"/sys/{device}/a", payload)


def test_help_tells_the_formats(commands: Commands) -> None:
    text = commands.run("help")

    for word in ("PK/DN", "FILE", "TEXT", "JSON", "STATUS", "CODE", "TIMES", "single quotes"):
        assert word in text


def test_faults_of_one_device(commands: Commands, platform: LocalPlatform) -> None:
    device = f"{PK}/{DN}"
    assert commands.run(f"fault {device} refuse code=6288") == "refuse, 1 time, code 6288"
    assert commands.run(f"fault {device}") == "refuse, 1 time, code 6288"
    assert [post(platform, registration_form()).json["code"] for _ in range(2)] == [6288, 200]
    commands.run(f"fault {device} lost times=always")
    assert commands.run(f"fault {device} clear") == "no faults are on"


def test_a_stray_byte_at_standard_input_ends_nothing(start_platform: type[Running]) -> None:
    running = start_platform("--memory")
    running.wait_for("ready")
    assert running.process.stdin is not None
    os.write(running.process.stdin.fileno(), b"\xff\xfe nonsense\n")
    running.wait_for("no command")
    running.type("quit")

    assert running.end() == 0
