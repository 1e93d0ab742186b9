"""Messages: what one costs, beside bare umqtt.simple 1.3.4, which is what firmware freezes.

Both run in one MicroPython process, against a server here that answers at once; the best
of some rounds of hundreds of messages of 85 bytes each, twenty at a time on a heap just
collected. Received: all of them lie in the socket before the first is taken, so that nothing but
the device's own work counts. Bytes of heap are those of the 64-bit unix port, with the collector
off; a chip's objects are half as large.

umqtt.simple checks nothing, waits for ever, and loses the connection unnoticed. Times are of this
machine.
"""

from __future__ import annotations

import asyncio
import ssl

from tools.bench.place import DEVICE, Place
from tools.bench.results import Section, Table, number
from tools.faults.server import Server
from tools.iot_platform.network.certificates import Certificate, shared_authority
from tools.micropython import run_script

COUNT = 300
Key = tuple[str, str, str, int]


class Counterpart(Server):
    """The least that an MQTT server can be: it acknowledges, and sends what `/flood` asks for."""

    def __init__(self, encrypted: bool) -> None:
        super().__init__("counterpart")
        self._encrypted = encrypted

    def context(self) -> ssl.SSLContext | None:
        """TLS, or not."""
        return shared_authority().server_context(Certificate()) if self._encrypted else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other end goes."""
        while head := await reader.read(1):
            size = shift = 0
            while True:
                byte = (await reader.readexactly(1))[0]
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = await reader.readexactly(size)
            if head[0] == 0x10:
                writer.write(b"\x20\x02\0\0")
            elif head[0] == 0x82:
                writer.write(b"\x90\x03" + body[:2] + b"\1")
            elif head[0] & 0xF0 == 0x30:
                name = 2 + int.from_bytes(body[:2], "big")
                if head[0] & 6:
                    writer.write(b"\x40\x02" + body[name : name + 2])
                if body[2:name] == b"/flood":
                    qos, count = map(int, body[name:].split())
                    for number in range(1, count + 1):
                        writer.write(_message(qos, number))
            await writer.drain()


def _message(qos: int, number: int) -> bytes:
    topic = b"/sys/a1ExpAkj9Hi/246f28aabbcc/thing/service/property/set"
    body = len(topic).to_bytes(2, "big") + topic + (number.to_bytes(2, "big") if qos else b"")
    body += b'{"method":"thing.service.property.set","id":"1","params":{"led":1},"version":"1.0"}'
    size = len(body)
    return bytes([0x30 | qos << 1, size & 127 | 128, size >> 7]) + body


def costs(place: Place, count: int, rounds: int) -> dict[Key, tuple[float, float]]:
    """(who, transport, way, QoS) -> microseconds, bytes allocated; for each message."""
    with Counterpart(False) as plain, Counterpart(True) as secure:
        asked = {
            "tcp": plain.port,
            "tls": secure.port,
            "ca": shared_authority().der.hex(),
            "count": count,
            "rounds": rounds,
            "pause": 300,
        }
        told = run_script(DEVICE / "messages.py", asked, heap="8M", path=[place.naive_frozen])
    found = {}
    for line in told.splitlines():
        if line.startswith("cost "):
            _, who, transport, way, qos, took, heap = line.split()
            found[who, transport, way, int(qos)] = (float(took), float(heap))
    return found


def section(place: Place, quick: bool) -> Section:
    """Measure it."""
    part = Section("Messages", __doc__ or "")
    found = costs(place, 100 if quick else COUNT, 3 if quick else 9)
    rows = []
    for (who, transport, way, qos), (took, heap) in found.items():
        if who == "package":
            other, others = found["umqtt", transport, way, qos]
            shown = [number(value) for value in (took, other, took / other, heap, others)]
            rows.append((f"{way}, {transport}, QoS {qos}", *shown, number(heap / max(others, 1))))
            name = f"message.{way}.{transport.lower()}.{qos}"
            part.figures |= {name: took / other, f"{name}.heap": heap / max(others, 1)}
    columns = ("message", "microseconds", "umqtt", "ratio", "bytes of heap", "umqtt", "ratio")
    part.tables.append(Table("One message, this package beside umqtt.simple", columns, rows))
    return part
