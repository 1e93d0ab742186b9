"""What becomes of a device's secret at the local platform: issued, activated, reset, deleted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, post, registration_form

from tools.iot_platform import Behaviour, LocalPlatform

DN = "Example_dyn1"
FORM = registration_form(DN)


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN)
        yield running


def code_of(platform: LocalPlatform, **changes: str | None) -> int:
    return int(post(platform, registration_form(changes=changes)).json["code"])


def go_online(platform: LocalPlatform, device_name: str = DN) -> None:
    secret = platform.registry.device(PK, device_name).device_secret
    with MqttClient(platform) as client:
        assert client.connect_device(PK, device_name, secret) == 0


def test_refuses_an_active_device_in_the_documented_words(platform: LocalPlatform) -> None:
    go_online(platform)

    assert post(platform, FORM).body == b'{"code":6289,"message":"device is already active"}'


def test_hands_out_a_new_secret_each_time_until_the_first_connect(
    platform: LocalPlatform,
) -> None:
    secrets = [post(platform, FORM).json["data"]["deviceSecret"] for _ in range(3)]

    assert len(set(secrets)) == 3
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, secrets[0]) == 4
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, secrets[2]) == 0
    assert code_of(platform) == 6289


def test_a_refused_connect_does_not_activate(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, "wrong") == 4

    assert code_of(platform) == 200


def test_can_hand_out_the_same_secret_each_time() -> None:
    with LocalPlatform(behaviour=Behaviour(new_secret_each_registration=False)) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, "madeWhenTheDeviceWasAdded")

        answers = [post(platform, FORM).json["data"]["deviceSecret"] for _ in range(2)]

    assert answers == ["madeWhenTheDeviceWasAdded"] * 2


def test_can_refuse_after_the_first_registration() -> None:
    behaviour = Behaviour(refuse_registration_after="first registration")
    with LocalPlatform(behaviour=behaviour) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN)

        assert [code_of(platform), code_of(platform)] == [200, 6289]


def test_registers_again_after_a_reset(platform: LocalPlatform) -> None:
    go_online(platform)
    assert code_of(platform) == 6289

    platform.reset(PK, DN)

    assert platform.registry.device(PK, DN).activated, "a reset does not take activation back"
    assert code_of(platform) == 200


def test_the_old_secret_is_valid_after_a_reset_until_the_next_registration(
    platform: LocalPlatform,
) -> None:
    old = platform.registry.device(PK, DN).device_secret
    go_online(platform)
    platform.reset(PK, DN)
    post(platform, FORM)

    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, old) == 4


def test_registers_again_after_delete_and_add(platform: LocalPlatform) -> None:
    go_online(platform)
    platform.delete(PK, DN)
    platform.registry.add_device(PK, DN)

    assert code_of(platform) == 200
