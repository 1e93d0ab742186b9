"""A gateway shown: it registers 100 sub-devices, brings them online, and after a reboot again.

`make run-gateway` starts the local IoT Platform and a simulated ESP32 that runs the application of
`docs/gateway.md`. It exits 0 only if the platform's own record shows one registration of each
sub-device, all of them online after each boot, and a message from one of them.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from tools.board import Board, BootResult
from tools.command import run
from tools.image import build_image
from tools.iot_platform import LocalPlatform
from tools.layout import ROOT
from tools.story import Failed, Story, check, show

MAC = "246f28aabbcc"
GATEWAY_KEY = "a1GatewayKey"
SENSOR_KEY = "a1SensorKey"
SENSORS = [f"sensor-{number:03}" for number in range(100)]
POST = f"/sys/{SENSOR_KEY}/{SENSORS[0]}/thing/event/property/post"
BOOT_SECONDS = 60


def example() -> str:
    """The application in the documentation: what is shown is what is run."""
    text = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise Failed("docs/gateway.md has no example")
    return found[1]


def prepare(platform: LocalPlatform, folder: Path) -> Board:
    """Register products and names with the platform, and make a board that runs the example."""
    gateway_secret = secrets.token_hex(8)
    platform.registry.add_product(GATEWAY_KEY, gateway_secret, node_type="gateway")
    platform.registry.add_device(GATEWAY_KEY, MAC)
    platform.registry.add_product(SENSOR_KEY)
    platform.registry.add_devices(SENSOR_KEY, SENSORS)
    image = build_image(
        {
            "productKey": GATEWAY_KEY,
            "productSecret": gateway_secret,
            "registerHost": "localhost",
            "registerPort": platform.https_port,
            "mqttHost": "localhost",
            "mqttPort": platform.mqtt_tls_port,
        },
        {"ssid": "bench", "password": "correct horse"},
        main=example(),
        roots=[platform.ca_der],
    )
    return Board(image, folder, mac=MAC, resolve={"*": "127.0.0.1"})


def boot(
    board: Board, platform: LocalPlatform, name: str, online: Callable[[int], None]
) -> BootResult:
    """One boot of the gateway, up to the answer to a sub-device's message.

    online: called with the count of sub-devices that the platform has seen come online.
    """
    before = len(platform.record.events("online"))
    with board.power_on() as session:
        deadline = time.monotonic() + BOOT_SECONDS
        while session.wait(r"message on .*/event/property/post_reply .*\n", 0.2) != "until":
            online(len(platform.record.events("online")) - before)
            check(
                session.ending is None and time.monotonic() < deadline,
                f"{name}: the gateway did not get through; it said:\n{session.output}",
            )
        online(len(platform.record.events("online")) - before)
        for sensor in SENSORS:
            check(platform.online(SENSOR_KEY, sensor), f"{name}: {sensor} is not online")
        session.power_off()
        return session.result("until")


def registered(platform: LocalPlatform) -> list[str | None]:
    """The sub-devices in the order in which the platform registered them."""
    return [e.device_name for e in platform.record.events("register", SENSOR_KEY, code=200)]


def tell(story: Story, folder: Path) -> None:
    with LocalPlatform() as platform:
        story.chapter("A gateway that knows only names")
        board = prepare(platform, folder)
        story.line(
            "platform",
            f"local IoT Platform on 127.0.0.1: MQTT over TLS {platform.mqtt_tls_port}; "
            f"{len(SENSORS)} sub-devices are pre-registered",
        )
        story.line(
            "board", "runs the application of docs/gateway.md; nothing of them on its flash"
        )
        results = {}
        for name in ("First boot", "Second boot"):
            story.chapter(name)
            with Progress(
                TextColumn("  {task.description:<10}"),
                BarColumn(40),
                MofNCompleteColumn(),
                TextColumn("online"),
                console=story.console,
            ) as progress:
                task = progress.add_task("sub-devices", total=len(SENSORS))

                def show(count: int, progress: Progress = progress, task: TaskID = task) -> None:
                    progress.update(task, completed=count)

                results[name] = boot(board, platform, name, show)
            story.line(
                "gateway",
                f"{len(registered(platform))} registered so far, {len(SENSORS)} online, "
                f"{SENSORS[0]} published; {results[name].seconds:.1f} s",
            )
            if name == "First boot":
                compare(board, platform)
                story.line("flash", "the DeviceSecrets are those that the platform issued")
        story.chapter("What the platform recorded")
        check(sorted(map(str, registered(platform))) == SENSORS, "not each was registered once")
        logins = platform.record.events("online", SENSOR_KEY)
        check(len(logins) == 2 * len(SENSORS), f"{len(logins)} logins instead of two each")
        check(len(platform.record.messages(POST)) == 2, f"{SENSORS[0]} did not publish twice")
        check(results["Second boot"].flash_operations == 0, "the second boot wrote to the flash")
        requests = platform.record.events("request")
        story.line(
            "record",
            f"2 boots, {len(SENSORS)} registrations, {len(logins)} logins, "
            f"{len(requests)} requests; second boot: 0 flash writes",
        )


def compare(board: Board, platform: LocalPlatform) -> None:
    """Check that the flash holds the secret of each sub-device as the platform knows it."""
    stored = {}
    for path in board.files():
        if path.startswith("/subdevices/"):
            page = json.loads(board.read(path) or b"{}")
            for place, text in page.items():
                if place != "check":
                    _, sensor, secret = text.split(" ")
                    stored[sensor] = secret
    known = {
        sensor: platform.registry.device(SENSOR_KEY, sensor).device_secret for sensor in SENSORS
    }
    check(stored == known, "flash and platform hold different secrets")


def main() -> int:
    """The command: its exit status."""
    argparse.ArgumentParser(prog="python -m tools.gateway_story", description=__doc__).parse_args()
    return run(lambda: show(tell, f"{len(SENSORS)} sub-devices were registered once and kept."))


if __name__ == "__main__":
    sys.exit(main())
