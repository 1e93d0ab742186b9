"""Traffic: events with payloads and advice, filtered, bounded and live."""

from __future__ import annotations

import json

import pytest
from console_client import ConsoleClient
from mqtt_client import MqttClient
from platform_clients import PK, post, registration_form

from tools.iot_platform import Event, Identity, LocalPlatform
from tools.iot_platform.console.masking import PREVIEW, mask_members, payload_json
from tools.iot_platform.console.traffic import Traffic

DN = "246f28aabbcc"


@pytest.fixture
def device(hub: LocalPlatform) -> Identity:
    return hub.registry.add_device(PK, DN, "itsOwnSecret").identity


def test_messages_in_both_directions_show_topic_and_payload(
    console: ConsoleClient, hub: LocalPlatform, device: Identity
) -> None:
    with MqttClient(hub) as client:
        client.connect_device(*device, "itsOwnSecret")
        client.publish(f"/{device}/user/update", b'{"t": 21}')
        hub.record.wait_for("publish")
        console.post("devices", *device, "publish", topic=f"/sys/{device}/a", payload="\u706f")
        client.message()

    found = {e["kind"]: e for e in console.get("events", group="messages")["items"]}
    assert found["publish"]["details"]["topic"] == f"/{device}/user/update"
    assert found["publish"]["payload"] == {"text": '{"t": 21}', "size": 9, "cut": False}
    assert found["deliver"]["payload"]["text"] == "\u706f"


def test_refusals_show_the_reason_and_what_to_do(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    post(hub, registration_form("nobody"))
    with MqttClient(hub) as client:
        client.connect_device(PK, "nobody", "x")

    refused = console.get("events", refused="true")["items"]
    assert [(e["kind"], e["code"]) for e in refused] == [("connect", 4), ("register", 6100)]
    for event in refused:
        assert event["details"]["reason"]
        assert event["advice"].startswith("Add this DeviceName")
        assert event["details"]["peer"].startswith("127.0.0.1:")


def test_a_client_that_trusts_another_root_is_shown(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    import socket
    import ssl

    with (
        socket.create_connection(("127.0.0.1", hub.https_port), 5) as plain,
        pytest.raises(ssl.SSLError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    hub.record.wait_for("tls-failed")

    event = console.get("events", group="connections")["items"][0]
    assert (event["kind"], event["refused"]) == ("tls-failed", True)
    assert "ca.der" in event["advice"]


def test_pages_go_back_in_time(console: ConsoleClient, hub: LocalPlatform) -> None:
    for number in range(120):
        hub.record.add("publish", Identity(PK, f"unit{number % 2}"), 200, topic=str(number))

    def topics(page: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
        return [entry["details"]["topic"] for entry in page["items"]]

    first = console.get("events", device=f"{PK}/unit1", limit=40)
    assert topics(first) == [str(n) for n in range(119, 40, -2)]
    assert first["more"]
    before = first["items"][-1]["number"]
    second = console.get("events", device=f"{PK}/unit1", limit=40, before=before)
    assert topics(second) == [str(n) for n in range(39, 0, -2)]
    assert not second["more"]


def test_only_the_latest_entries_are_kept_in_all_and_for_each_device() -> None:
    traffic = Traffic(keep=10)
    devices = [Identity(PK, f"unit{n}") for n in range(3)]
    for number in range(100):
        traffic.note(Event(0, 0.0, "publish", *devices[0 if number < 50 else number % 3], 200))

    assert [entry.number for entry in traffic.page(200)] == list(range(100, 90, -1))
    of_each = [traffic.page(200, device=device) for device in devices]
    assert sum(map(len, of_each)) == 10
    assert traffic._by_device.keys() == set(devices)
    for _ in range(10):
        traffic.note(Event(0, 0.0, "publish", PK, "another", 200))
    assert traffic._by_device.keys() == {Identity(PK, "another")}


# The live stream


def test_an_event_reaches_an_open_page(console: ConsoleClient, hub: LocalPlatform) -> None:
    with console.stream() as messages:
        assert next(messages)[0] == "hello"
        post(hub, registration_form("nobody"))
        event, _, value = next(messages)

    assert event == "news"
    assert [(e["kind"], e["code"]) for e in value["entries"]] == [("register", 6100)]
    assert value["devices"] == [f"{PK}/nobody"]


def test_heavy_traffic_is_sent_in_few_messages(console: ConsoleClient, hub: LocalPlatform) -> None:
    with console.stream() as messages:
        next(messages)
        for number in range(5_000):
            hub.record.add("publish", Identity(PK, f"unit{number % 7}"), 200, topic=str(number))
        told = skipped = count = 0
        while told + skipped < 5_000:
            _, _, value = next(messages)
            told += len(value["entries"])
            skipped += value["skipped"]
            count += 1
            assert len(value["entries"]) <= 100

    assert value["entries"][-1]["details"]["topic"] == "4999"
    assert count < 50


def test_a_page_that_reconnects_gets_the_events_it_missed(
    console: ConsoleClient, hub: LocalPlatform
) -> None:
    with console.stream() as messages:
        last_id = next(messages)[1]
    hub.record.add("admin", Identity(PK, DN), what="meanwhile")

    with console.stream(last_id) as messages:
        next(messages)
        assert next(messages)[2]["entries"][0]["details"] == {"what": "meanwhile"}
    with console.stream("another-7") as messages:  # an id of an earlier run: start again
        assert next(messages)[2]["lastEvent"] == 1


def test_a_33rd_open_page_is_refused(console: ConsoleClient) -> None:
    from contextlib import ExitStack

    with ExitStack() as pages:
        for _ in range(32):
            next(pages.enter_context(console.stream()))
        answer = console.ask("GET", "/api/stream")

    assert answer.status == 503


# Payloads


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{"deviceSecret":"abc","x":1}', '{"deviceSecret":"••••••••","x":1}'),
        (b'{"a":[{"DeviceSecret" : "a\\"b"}]}', '{"a":[{"DeviceSecret" : "••••••••"}]}'),
        (b'{"secret":"abc\\\\","x":"y"}', '{"secret":"••••••••'),
        (b'{"deviceToken":"abc', '{"deviceToken":"••••••••'),
        (b'{"sign":"AB","signMethod":"x"}', '{"sign":"••••••••","signMethod":"x"}'),
        (b'"{\\"deviceSecret\\":\\"abc\\",\\"x\\":1}"', '"{\\"deviceSecret\\":\\"••••••••\\",'),
        (b'{"design":"AB","secretary":"x"}', '{"design":"AB","secretary":"x"}'),
    ],
)
def test_secrets_in_payloads_are_masked(payload: bytes, shown: str) -> None:
    text = payload_json(payload, len(payload))["text"]

    assert text.startswith(shown)
    assert "abc" not in text


@pytest.mark.parametrize("before", [b"text ", b"\xff\x00"])
def test_a_known_secret_is_masked_anywhere_in_the_text(before: bytes) -> None:
    secret = "itsOwnSecret"
    whole = before + secret.encode() + b" and " + secret.encode()
    for length in range(1, len(whole) + 1):
        shown = payload_json(whole[:length], len(whole), [secret])
        text = shown.get("text") or bytes.fromhex(shown["hex"]).decode("latin-1")
        assert "itsO" not in text


def test_a_long_payload_is_cut_between_characters() -> None:
    whole = "灯".encode() * 1000
    shown = payload_json(whole[:PREVIEW], len(whole))

    assert shown["text"] == "灯" * (PREVIEW // 3)
    assert (shown["size"], shown["cut"]) == (3000, True)


@pytest.mark.parametrize("payload", [b"\xff\x00", b"a\x00b", b"\x1b[31m"])
def test_a_binary_payload_is_shown_in_hex(payload: bytes) -> None:
    assert payload_json(payload, len(payload))["hex"] == payload.hex(" ")


def test_masking_takes_linear_time() -> None:
    """A backtracking pattern could take forever on such input."""
    mask_members('"sign":"' + "\\" * 100_000)
    mask_members("\\" * 100_000)
    mask_members('"sign"' + " " * 100_000)


def test_a_registration_over_mqtt_is_shown_without_the_secret(
    console: ConsoleClient, hub: LocalPlatform, device: Identity
) -> None:
    answer = {"deviceSecret": "aNewSecret0123456789", "productKey": PK, "deviceName": DN}
    payload = json.dumps(answer).encode()
    hub.record.add(
        "deliver", device, payload=payload, topic="/ext/register", qos=0, size=len(payload)
    )

    event = console.get("events")["items"][0]
    assert "aNewSecret" not in json.dumps(event)
    assert "•" in event["payload"]["text"]
