"""The SQLite database behind the registry and the record."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.private import make_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    product_key TEXT PRIMARY KEY,
    product_secret TEXT NOT NULL,
    node_type TEXT NOT NULL CHECK (node_type IN ('device', 'gateway')),
    dynamic_registration INTEGER NOT NULL,
    registration_free INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS devices (
    product_key TEXT NOT NULL REFERENCES products,
    device_name TEXT NOT NULL,
    device_secret TEXT NOT NULL,
    iot_id TEXT NOT NULL,
    registrations INTEGER NOT NULL DEFAULT 0,
    registration_closed INTEGER NOT NULL DEFAULT 0,
    activated_at REAL,
    disabled INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_key, device_name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clients (
    client_id TEXT PRIMARY KEY,
    product_key TEXT NOT NULL,
    device_name TEXT NOT NULL,
    device_token TEXT NOT NULL,
    activated_at REAL,
    issued_at REAL NOT NULL DEFAULT 0,
    FOREIGN KEY (product_key, device_name) REFERENCES devices ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS clients_of ON clients (product_key, device_name);
CREATE TABLE IF NOT EXISTS topology (
    product_key TEXT NOT NULL,
    device_name TEXT NOT NULL,
    gateway_key TEXT NOT NULL,
    gateway_name TEXT NOT NULL,
    PRIMARY KEY (product_key, device_name),
    FOREIGN KEY (product_key, device_name) REFERENCES devices ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS topology_of ON topology (gateway_key, gateway_name);
CREATE TABLE IF NOT EXISTS places (
    product_key TEXT NOT NULL,
    device_name TEXT NOT NULL,
    instance TEXT NOT NULL,
    PRIMARY KEY (product_key, device_name),
    FOREIGN KEY (product_key, device_name) REFERENCES devices ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    product_key TEXT,
    device_name TEXT,
    code INTEGER,
    details TEXT NOT NULL
);
PRAGMA user_version = 2;
"""
_FROM_1 = "ALTER TABLE clients ADD COLUMN issued_at REAL NOT NULL DEFAULT 0"


class Database:
    """One connection, shared by the platform's thread and by whoever drives the platform.

    Every statement holds a lock, so that tests and commands may look in at any time.
    """

    def __init__(self, path: Path | None) -> None:
        """path: the file, made if absent; None: in memory. Raises sqlite3.Error, OSError."""
        self._lock = threading.RLock()
        place = ":memory:" if path is None else path
        if path is not None:  # it holds secrets
            make_private(path)  # SQLite gives the files it puts beside it the same rights
        try:
            self._connection = sqlite3.connect(
                place, check_same_thread=False, isolation_level=None
            )
        except sqlite3.Error as error:
            raise sqlite3.DatabaseError(f"{path}: {error}") from None
        self._connection.row_factory = sqlite3.Row
        try:
            # WAL needs no disk flush at each commit: what a power cut may lose is a test run.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 1:
                self._connection.execute(_FROM_1)
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise sqlite3.DatabaseError(f"{path}: {error}") from None

    def query(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Runs one statement and returns its rows."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for each row."""
        with self._lock:
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together or not at all; may be nested."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            # Whatever it is, Ctrl-C too, goes on; only half of a change must not stay.
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Closes the connection; an in-memory database is gone then."""
        with self._lock:
            self._connection.close()
