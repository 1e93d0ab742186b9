"""A TCP relay that counts what passes between a device and a server.

Bytes and TLS records are taken from the stream itself, segments from the kernel's own count of
segments that carried data (TCP_INFO of Linux), with the segment size of a chip's lwIP.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field, fields

SEGMENT = 1440
"""Bytes: TCP_MSS of the ESP32's lwIP. The loopback's own would swallow everything in one."""

_DATA_SEGMENTS_IN = 152  # offset of tcpi_data_segs_in in struct tcp_info (Linux 4.6 and later)
_PIECE = 65536


@dataclass
class Way:
    """What went one way through a connection."""

    bytes: int = 0
    records: int = 0
    """TLS records, of whatever type; 0 on a connection without TLS."""
    segments: int = 0

    def less(self, other: Way) -> Way:
        """What is left when `other` is taken away."""
        return Way(
            self.bytes - other.bytes,
            self.records - other.records,
            self.segments - other.segments,
        )


@dataclass
class Passed:
    """What went through one connection; up is from the device."""

    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    handshakes: int = 0
    """1 if it began with a TLS ClientHello."""
    turns: int = 0
    """How often the server answered after the device had spoken: times that the device waited."""


@dataclass(frozen=True)
class Total:
    """What went through several connections."""

    connections: int
    handshakes: int
    round_trips: int
    """One to open each TCP connection, and one for each turn."""
    up: Way
    down: Way


class _Records:
    """Counts TLS records in a stream that comes in pieces."""

    def __init__(self) -> None:
        self.count = 0
        self.hello = False
        self._rest = b""
        self._skip = 0

    def feed(self, data: bytes) -> None:
        while data:
            if self._skip:
                step = min(self._skip, len(data))
                self._skip -= step
                data = data[step:]
                continue
            need = 5 - len(self._rest)
            self._rest, data = self._rest + data[:need], data[need:]
            if self.count == 0 and self._rest[0] != 22:
                return  # not TLS: the first record of all is a handshake record
            if len(self._rest) == 5:
                self._skip = struct.unpack("!H", self._rest[3:])[0]
                self.hello = True
                self.count += 1
                self._rest = b""


class _Pair:
    """A connection: the device's end and the server's."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.ends = {near: far, far: near}
        self.near, self.far = near, far
        self.records = {near: _Records(), far: _Records()}
        self.passed = Passed()
        self._spoke = False
        self.open = set(self.ends)

    def carry(self, end: socket.socket) -> None:
        """Take a piece, or the end of the stream, from one end to the other."""
        try:
            data = end.recv(_PIECE)
            if data:
                self._count(end, data)
                self.ends[end].sendall(data)
            else:
                self.open.discard(end)
                self.ends[end].shutdown(socket.SHUT_WR)
        except OSError:
            self.open.clear()

    def _count(self, end: socket.socket, data: bytes) -> None:
        records = self.records[end]
        records.feed(data)
        up = end is self.near
        way = self.passed.up if up else self.passed.down
        way.bytes += len(data)
        way.records = records.count
        if up:
            self._spoke = True
            self.passed.handshakes = int(records.hello)
        elif self._spoke:
            self._spoke = False
            self.passed.turns += 1

    def note_segments(self) -> None:
        for end, way in ((self.near, self.passed.up), (self.far, self.passed.down)):
            with contextlib.suppress(OSError, struct.error):
                info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                way.segments = struct.unpack_from("I", info, _DATA_SEGMENTS_IN)[0]

    def close(self) -> None:
        self.note_segments()
        for end in self.ends:
            end.close()


class Relay:
    """Stands before one port of this machine. A context manager."""

    def __init__(self, target: int) -> None:
        """target: port of the server."""
        self._target = target
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._wake, self._woken = socket.socketpair()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._work, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._wake.close()
        self._thread.join(10)

    def reset(self) -> None:
        """Forget all connections so far; those that are still open too."""
        with self._lock:
            self._pairs.clear()

    def total(self) -> Total:
        """What went through all connections since the last reset."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.note_segments()
        passed = [pair.passed for pair in pairs]
        return Total(
            len(passed),
            sum(one.handshakes for one in passed),
            sum(1 + one.turns for one in passed),
            _sum([one.up for one in passed]),
            _sum([one.down for one in passed]),
        )

    def _work(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ, None)
            selector.register(self._listener, selectors.EVENT_READ, None)
            while True:
                for key, _ in selector.select():
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    if end is self._woken:
                        self._end(selector)
                        return
                    if end is self._listener:
                        self._accept(selector)
                    elif end in selector.get_map():
                        _carry(selector, key.data, end)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        near, _ = self._listener.accept()
        far = socket.socket()
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        try:
            far.connect(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        pair = _Pair(near, far)
        for end in pair.ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(end, selectors.EVENT_READ, pair)
        with self._lock:
            self._pairs.append(pair)

    def _end(self, selector: selectors.BaseSelector) -> None:
        open_pairs = {
            id(key.data): key.data for key in selector.get_map().values() if key.data is not None
        }
        for pair in open_pairs.values():
            pair.close()
        self._listener.close()
        self._woken.close()


def _carry(selector: selectors.BaseSelector, pair: _Pair, end: socket.socket) -> None:
    pair.carry(end)
    for one in pair.ends:
        if one not in pair.open and one in selector.get_map():
            selector.unregister(one)
    if not pair.open:
        pair.close()


def _sum(ways: list[Way]) -> Way:
    return Way(*(sum(getattr(way, one.name) for way in ways) for one in fields(Way)))


def together(totals: list[Total]) -> Total:
    """What went through several relays."""
    return Total(
        sum(one.connections for one in totals),
        sum(one.handshakes for one in totals),
        sum(one.round_trips for one in totals),
        _sum([one.up for one in totals]),
        _sum([one.down for one in totals]),
    )
