"""Whatever the local platform keeps has a bound (tools/iot_platform/rules/limits.py)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tools.iot_platform import Identity, LocalPlatform, Record, Registry
from tools.iot_platform.mqtt.kept import Kept
from tools.iot_platform.rules import limits
from tools.iot_platform.rules.rate import Rate
from tools.iot_platform.store.database import Database

PK, PS = "a1ExpAkj9Hi", "ffFnFlKQW3HYjjPR"
DEVICE = Identity(PK, "Example_dyn1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# Messages kept for a device


def test_seven_days_old_messages_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("tools.iot_platform.mqtt.kept.time.time", clock)
    kept = Kept()
    kept.keep("/a", b"old")
    clock.now += limits.WAITING_SECONDS
    kept.keep("/a", b"new")
    clock.now += 1

    assert [message.payload for _, message in kept.to_send()] == [b"new"]


def test_what_was_dropped_or_acknowledged_makes_room() -> None:
    kept = Kept()
    largest = b"x" * limits.PAYLOAD_BYTES
    for _ in range(limits.WAITING_BYTES // limits.PAYLOAD_BYTES):
        assert kept.keep("/a", largest)
    assert not kept.keep("/a", b"x")
    (packet_id, _), *_ = kept.to_send()
    kept.acknowledge(packet_id)
    kept.acknowledge(packet_id)

    assert kept.keep("/a", largest)
    assert not kept.keep("/a", b"x")


# Names


def test_a_rate_is_counted_by_name_within_its_window() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert [rate.allow("a", 2) for _ in range(3)] == [True, True, False]
    assert rate.allow("b", 2)
    clock.now += limits.RATE_WINDOW
    assert [rate.allow("a", 2) for _ in range(3)] == [True, True, False]


def test_without_a_limit_nothing_is_remembered() -> None:
    rate = Rate()
    assert all(rate.allow(name, None) for name in range(5000))
    assert len(rate) == 0


def test_names_of_long_ago_are_forgotten() -> None:
    clock = Clock()
    rate = Rate(clock)
    for name in range(50_000):
        rate.allow(name, 5)
        clock.now += 0.1  # 600 names within a window

    assert len(rate) < 3000


def test_of_client_ids_never_used_the_oldest_is_void() -> None:
    registry = Registry(Database(None))
    registry.add_product(PK, PS, registration_free=True)
    used = registry.issue_client(DEVICE)
    registry.activate_client(used)
    issued = [registry.issue_client(DEVICE).client_id for _ in range(limits.UNUSED_CLIENTS + 5)]

    left = {client.client_id for client in registry.clients(*DEVICE)}
    assert left == {used.client_id, *issued[5:]}


def test_a_database_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with LocalPlatform(database=path) as platform:
        platform.registry.add_product(PK, PS, registration_free=True)
        token = platform.registry.issue_client(DEVICE)
    connection = sqlite3.connect(path)
    connection.executescript(
        "ALTER TABLE clients DROP COLUMN issued_at; DROP TABLE places; PRAGMA user_version = 1;"
    )
    connection.close()

    with LocalPlatform(database=path) as platform:
        assert platform.registry.clients(*DEVICE) == [token]
        platform.registry.issue_client(DEVICE)
        assert len(platform.registry.clients(*DEVICE)) == 2


# The record


def test_the_bytes_of_messages_are_bounded() -> None:
    record = Record(Database(None), keep_bytes=1000)
    for number in range(5):
        record.add_message(DEVICE, f"/{number}", 0, b"x" * 400)

    assert [message.topic for message in record.messages()] == ["/3", "/4"]


def test_events_in_the_database_are_bounded(tmp_path: Path) -> None:
    database = Database(tmp_path / "record.db")
    record = Record(database, keep=1000)
    for number in range(5000):
        record.add("publish", DEVICE, 200, number=number)
    record.flush()
    rows = database.query("SELECT details FROM events ORDER BY rowid")
    database.close()

    assert 1000 <= len(rows) <= 2000
    assert rows[-1][0] == '{"number":4999}'


def test_events_of_earlier_runs_are_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    for keep in (3000, 100):
        database = Database(path)
        record = Record(database, keep=keep)
        for _ in range(2000 if keep == 3000 else 1):
            record.add("publish", DEVICE, 200)
        record.flush()
        (count,) = database.query("SELECT count(*) FROM events")[0]
        database.close()
    assert count <= 200


def test_a_database_that_fails_costs_events_only(caplog: pytest.LogCaptureFixture) -> None:
    database = Database(None)
    record = Record(database)
    database.query("DROP TABLE events")
    record.add("publish", DEVICE, 200)
    record.flush()

    assert len(record.events("publish")) == 1
    assert "1 events could not be kept" in caplog.text


def test_waiting_for_events_counts_each_once() -> None:
    record = Record(Database(None))
    for _ in range(3):
        record.add("publish", DEVICE, 200)
    assert len(record.wait_for("publish", count=3)) == 3
    with pytest.raises(TimeoutError, match="no 4 event"):
        record.wait_for("publish", timeout=0.01, count=4)
    last = record.events()[-1].number
    record.add("publish", DEVICE, 200)
    assert len(record.wait_for("publish", after=last)) == 1
