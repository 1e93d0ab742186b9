"""Many devices at the local platform at once."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from pathlib import Path

from mqtt_client import connect_packet
from platform_clients import PK, PS, tls_context

from tools.bench.measures import load
from tools.iot_platform import LocalPlatform

COUNT = 500
DEADLINE = 60.0


async def device(port: int, context: ssl.SSLContext, name: str, secret: str) -> bytes:
    """Connects, waits until a message comes, returns its payload."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    writer.write(connect_packet(name, secret))
    assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
    head = await reader.readexactly(2)
    body = await reader.readexactly(head[1])
    writer.transport.abort()
    return body[2 + struct.unpack("!H", body[:2])[0] :]


def test_500_devices_are_online_at_once_over_tls_and_each_gets_its_message() -> None:
    with LocalPlatform() as platform:
        platform.registry.add_product(PK, PS)
        names = [f"device{n:04}" for n in range(COUNT)]
        secrets = [d.device_secret for d in platform.registry.add_devices(PK, names)]
        context = tls_context(platform)

        async def run() -> list[bytes]:
            devices = [
                asyncio.ensure_future(device(platform.mqtt_tls_port, context, name, secret))
                for name, secret in zip(names, secrets, strict=True)
            ]
            await asyncio.to_thread(platform.record.wait_for, "activate", DEADLINE, COUNT)
            online = [name for name in names if platform.online(PK, name)]
            assert online == names
            for name in names:
                topic = f"/sys/{PK}/{name}/thing/service/property/set"
                platform.publish(PK, name, topic, name.encode())
            return await asyncio.wait_for(asyncio.gather(*devices), DEADLINE)

        assert asyncio.run(run()) == [name.encode() for name in names]
        began = time.monotonic()
    assert time.monotonic() - began < 10, "stopping is quick"


def test_the_load_measurement_counts_each_message_and_its_answer(tmp_path: Path) -> None:
    """`make bench` measures 2,000 devices so; here it is only seen to work."""
    (one,) = load.measure_platform(tmp_path, devices=20, seconds=0.5, transports=["TCP"])

    assert one.sent == one.answered > 0
