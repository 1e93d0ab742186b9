"""The local platform's registry and record: what they take, keep and never tell."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, post, registration_form

from tools.iot_platform import Behaviour, Identity, LocalPlatform, Registry
from tools.iot_platform.process.options import SettingError, behaviour_help, change_behaviour
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Record

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(None)
    yield opened
    opened.close()


@pytest.fixture
def registry(database: Database) -> Registry:
    return Registry(database)


@pytest.fixture
def record(database: Database) -> Record:
    return Record(database)


def test_makes_up_secrets_of_the_platforms_lengths(registry: Registry) -> None:
    product = registry.add_product(PK)
    device = registry.add_device(PK, DN)

    assert (len(product.product_secret), len(device.device_secret)) == (16, 32)
    assert registry.add_device(PK, "another1").device_secret != device.device_secret


def test_secrets_are_not_shown(registry: Registry) -> None:
    shown = repr(registry.add_product(PK, PS)) + repr(registry.add_device(PK, DN, DS))
    client = registry.issue_client(Identity(PK, DN))

    assert PS not in shown
    assert DS not in shown
    assert client.device_token not in repr(client)


@pytest.mark.parametrize("name", ["abcd", "a" * 32, "Az09-_@.:", "a:b@c.d"])
def test_takes_device_names_inside_the_rule(registry: Registry, name: str) -> None:
    registry.add_product(PK, PS)

    assert registry.add_device(PK, name).device_name == name


@pytest.mark.parametrize(
    "name", ["", "abc", "a" * 33, "a b c", "a/bcd", "a&bcd", "a|bcd", "设备设备"]
)
def test_refuses_device_names_outside_the_rule(registry: Registry, name: str) -> None:
    registry.add_product(PK, PS)

    with pytest.raises(ValueError, match="DeviceName"):
        registry.add_device(PK, name)


@pytest.mark.parametrize("key", ["", "a" * 21, "a-b", "a/b"])
def test_refuses_product_keys_outside_the_rule(registry: Registry, key: str) -> None:
    with pytest.raises(ValueError, match="ProductKey"):
        registry.add_product(key, PS)


@pytest.mark.parametrize("secret", ["", "x" * 65, "a b", "é"])
def test_refuses_secrets_outside_the_rule_without_telling_them(
    registry: Registry, secret: str
) -> None:
    with pytest.raises(ValueError, match="ProductSecret") as caught:
        registry.add_product(PK, secret)
    assert not secret or secret not in str(caught.value)


def test_refuses_what_exists_or_is_missing(registry: Registry) -> None:
    with pytest.raises(KeyError, match="no product"):
        registry.add_device(PK, DN)
    registry.add_product(PK, PS)
    registry.add_device(PK, DN)
    with pytest.raises(ValueError, match="exists"):
        registry.add_product(PK, PS)
    with pytest.raises(ValueError, match="exists"):
        registry.add_device(PK, DN)
    with pytest.raises(KeyError, match="no device"):
        registry.device(PK, "unknown1")
    with pytest.raises(ValueError, match="node type"):
        registry.add_product("other", PS, node_type="thing")


def test_adds_many_devices_or_none(registry: Registry) -> None:
    registry.add_product(PK, PS)
    with pytest.raises(ValueError, match="DeviceName"):
        registry.add_devices(PK, ["good1", "good2", "x"])

    assert registry.devices(PK) == []
    assert len(registry.add_devices(PK, [f"dev{n:04}" for n in range(2000)])) == 2000


def test_a_deleted_device_is_remembered_and_may_be_added_again(registry: Registry) -> None:
    registry.add_product(PK, PS)
    first = registry.add_device(PK, DN, DS)
    registry.delete(first.identity)

    assert registry.devices() == []
    assert registry.device(PK, DN).deleted
    assert registry.device(PK, DN).device_secret != DS
    again = registry.add_device(PK, DN)
    assert not again.deleted
    assert again.iot_id != first.iot_id


def test_a_database_outlives_the_platform(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with LocalPlatform(database=path) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN)
        secret = post(platform, registration_form()).json["data"]["deviceSecret"]
    with LocalPlatform(database=path) as platform, MqttClient(platform) as client:
        assert client.connect_device(PK, DN, secret) == 0
    with LocalPlatform(database=path) as platform:
        assert post(platform, registration_form()).json["code"] == 6289

    assert path.stat().st_mode & 0o777 == 0o600


def test_the_record_is_in_the_database_too(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with LocalPlatform(database=path) as platform:
        post(platform, registration_form())
        kinds = [event.kind for event in platform.record.events()]
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT kind, code FROM events ORDER BY rowid").fetchall()
    connection.close()

    assert [kind for kind, _ in rows] == kinds == ["connection", "tls", "register"]
    assert rows[2][1] == 6250


def test_the_record_holds_no_secret() -> None:
    with LocalPlatform() as platform:
        platform.registry.add_product(PK, PS, registration_free=True)
        platform.registry.add_device(PK, DN)
        form = registration_form()
        secrets = {PS, form["sign"], post(platform, form).json["data"]["deviceSecret"]}
        for auth in ("register", "regnwl"):
            with MqttClient(platform) as client:
                client.register(DN, auth=auth)
                client.message()
        secrets.add(platform.registry.device(PK, DN).device_secret)
        secrets.update(c.device_token for c in platform.registry.clients(PK, DN))
        with MqttClient(platform) as client:
            client.connect_device(PK, DN, platform.registry.device(PK, DN).device_secret)
            client.publish(f"/{PK}/{DN}/user/update", DS.encode())
            platform.record.wait_for("publish")
        shown = repr(platform.record.events()) + repr(platform.record.messages())

    assert len(secrets) == 5
    assert not [secret for secret in (*secrets, DS) if secret in shown]


def test_events_are_selected_by_each_field(record: Record) -> None:
    record.add("register", Identity(PK, DN), 200)
    record.add("register", Identity(PK, "another1"), 6289)
    record.add("connect", Identity(PK, DN), 0)

    assert [e.code for e in record.events("register")] == [200, 6289]
    assert [e.kind for e in record.events(device_name=DN)] == ["register", "connect"]
    assert [e.device_name for e in record.events(code=6289)] == ["another1"]
    assert [e.number for e in record.events()] == [1, 2, 3]


def test_wait_for_ends_at_its_deadline_and_names_what_came(record: Record) -> None:
    record.add("connect", Identity(PK, DN), 5)

    with pytest.raises(TimeoutError, match="connect"):
        record.wait_for("activate", timeout=0.05)
    assert record.wait_for("connect", timeout=0.05, code=5)


def test_listeners_hear_each_event(record: Record) -> None:
    heard: list[str] = []
    record.listen(lambda event: heard.append(event.kind))
    record.add("activate", Identity(PK, DN))

    assert heard == ["activate"]


def test_many_threads_may_use_the_registry(registry: Registry) -> None:
    registry.add_product(PK, PS)
    device = registry.add_device(PK, DN).identity

    def issue() -> None:
        for _ in range(50):
            registry.issue_secret(device, fresh=True)

    threads = [threading.Thread(target=issue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert registry.device(PK, DN).registrations == 200


def test_a_platform_starts_and_stops_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = threading.active_count()
        with LocalPlatform() as platform:
            platform.registry.add_product(PK, PS)
            platform.registry.add_device(PK, DN, DS)
            client = MqttClient(platform)
            client.connect_device(PK, DN, DS)
        assert client.receive() is None
        client.close()
        assert threading.active_count() == before


def test_two_platforms_run_side_by_side() -> None:
    with LocalPlatform() as one, LocalPlatform() as two:
        assert one.https_port != two.https_port
        one.registry.add_product(PK, PS)
        assert post(one, registration_form()).json["code"] == 6100
        assert post(two, registration_form()).json["code"] == 6250


def test_a_port_that_is_taken_is_named() -> None:
    with (
        LocalPlatform() as platform,
        pytest.raises(OSError, match=f"mqtt-tls port 127.0.0.1:{platform.mqtt_tls_port}: "),
        LocalPlatform(mqtt_tls_port=platform.mqtt_tls_port),
    ):
        pytest.fail("the port is taken")


# Settings as text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bad_sign_connack=4", 4),
        ("connects_per_minute=5", 5),
        ("connects_per_minute=null", None),
        ("registration_session=2", 2),
        ("refuse_registration_after=first registration", "first registration"),
        ("registration_securemodes=[2]", (2,)),
        ("lenient_spelling=false", False),
    ],
)
def test_a_field_is_set_from_text(setting: str, value: object) -> None:
    behaviour = Behaviour()
    change_behaviour(behaviour, setting)

    assert getattr(behaviour, setting.partition("=")[0]) == value


@pytest.mark.parametrize(
    "setting", ["nonsense=1", "bad_sign_connack", "bad_sign_connack=x", "lenient_spelling=1"]
)
def test_a_setting_that_does_not_fit_is_refused(setting: str) -> None:
    with pytest.raises(SettingError, match=setting.partition("=")[0]):
        change_behaviour(Behaviour(), setting)


def test_the_list_of_settings_names_every_field() -> None:
    lines = behaviour_help().splitlines()

    assert [line.partition("=")[0] for line in lines] == [
        field.name for field in dataclasses.fields(Behaviour)
    ]
