"""The main job, shown: a blank board registers, stores its secret, connects; then boots again.

`make run` starts the local IoT Platform and a simulated ESP32, both real enough to be wrong: TLS,
broker, littlefs and interpreter are the real things. It exits 0 only if the platform's own record
shows exactly one registration, and one connection for each boot.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tools.board import Board, BootResult
from tools.command import run
from tools.image import build_image
from tools.iot_platform import LocalPlatform

MAC = "246f28aabbcc"
PRODUCT_KEY = "a1" + "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(9))
GREETING = b'{"method":"thing.service.property.set","id":"7","params":{"lamp":1},"version":"1.0"}'
BOOT_SECONDS = 30
WIDTH = 84
COLUMNS = 96


class Failed(Exception):
    """The story went otherwise than it must; the message says where."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(what)


class Story:
    """Tells what happens, a line each, as it happens."""

    def __init__(self, record: bool = False) -> None:
        # A recording is as wide as its longest line, whatever the terminal.
        self.console = Console(highlight=False, record=record, width=COLUMNS if record else None)

    def chapter(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def line(self, who: str, text: str) -> None:
        self.console.print(f"  [cyan]{who:<9}[/cyan] {text}", soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner where there is a terminal, nothing elsewhere."""
        with self.console.status(text):
            yield


def boot(story: Story, board: Board, platform: LocalPlatform, name: str) -> BootResult:
    """One boot of the board, up to a message from the cloud; the board's lines are shown."""
    topic = f"/sys/{PRODUCT_KEY}/{MAC}/thing/service/property/set"
    with story.waiting(f"{name} ..."), board.power_on() as session:
        check(
            session.wait(r"post_reply .*\n", BOOT_SECONDS) == "until",
            f"{name}: the board did not get through; it said:\n{session.output}",
        )
        check(platform.publish(PRODUCT_KEY, MAC, topic, GREETING), "the board is not online")
        check(
            session.wait(r"property/set .*\n", BOOT_SECONDS) == "until",
            f"{name}: the message did not arrive; the board said:\n{session.output}",
        )
        session.power_off()
        result = session.result("until")
    for said in result.output.splitlines():
        line = said.removeprefix("[iot] ").replace(f"/sys/{PRODUCT_KEY}/{MAC}/", "/sys/.../")
        story.line("board", escape(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"))
    return result


def identity_events(platform: LocalPlatform) -> list[tuple[str, int | None]]:
    """What the platform's record says of identities: registrations and connections."""
    return [
        (e.kind, e.code) for e in platform.record.events() if e.kind in ("register", "connect")
    ]


def tell(story: Story, folder: Path) -> None:
    product_secret = secrets.token_hex(8)
    with LocalPlatform() as platform:
        platform.registry.add_product(PRODUCT_KEY, product_secret, dynamic_registration=True)
        platform.registry.add_device(PRODUCT_KEY, MAC)
        story.chapter("A blank board")
        story.line(
            "platform",
            f"local: HTTPS on port {platform.https_port}, MQTT over TLS on "
            f"{platform.mqtt_tls_port}; {MAC} is pre-registered",
        )
        with story.waiting("building the flash image ..."):
            image = build_image(
                {
                    "productKey": PRODUCT_KEY,
                    "productSecret": product_secret,
                    "registerHost": "localhost",
                    "registerPort": platform.https_port,
                    "mqttHost": "localhost",
                    "mqttPort": platform.mqtt_tls_port,
                },
                {"ssid": "bench", "password": "correct horse"},
                roots=[platform.ca_der],
            )
            board = Board(image, folder, mac=MAC, resolve={"*": "127.0.0.1"})
        code = sum(size for path, size in board.files().items() if path.endswith(".mpy"))
        check(board.read("/device.json") is None, "the image already holds a device.json")
        story.line(
            "image",
            f"{len(image) // 1024} kB littlefs: {code} bytes of .mpy, product.json; "
            "no device.json",
        )

        story.chapter("First boot")
        first = boot(story, board, platform, "first boot")
        record = json.loads(board.read("/device.json") or b"{}")
        known = platform.registry.device(PRODUCT_KEY, MAC).device_secret
        check(record.get("deviceSecret") == known, "flash and platform hold different secrets")
        check(
            identity_events(platform) == [("register", 200), ("connect", 0)],
            f"the platform's record of the first boot: {identity_events(platform)}",
        )
        story.line("flash", "device.json holds the DeviceSecret that the platform issued")

        story.chapter("Second boot")
        second = boot(story, board, platform, "second boot")
        check(
            identity_events(platform)[2:] == [("connect", 0)],
            f"the platform's record of the second boot: {identity_events(platform)[2:]}",
        )
        check(second.flash_operations == 0, "the second boot wrote to the flash")
        check(not re.search("registered", second.output), "the second boot spoke of registering")

        story.chapter("What the platform recorded")
        story.line("record", "2 boots, 1 registration, 2 connections; second boot: 0 flash writes")
        story.line("time", f"first boot {first.seconds:.2f} s, second boot {second.seconds:.2f} s")


def save_picture(console: Console, title: str, path: Path) -> None:
    """Write what a recording console showed as an SVG of a terminal. Raises OSError."""
    svg = console.export_svg(title=title, unique_id="run")
    # Rich has the viewer fetch a font from the web; any monospace font will do.
    path.write_text(re.sub(r"(?s)@font-face \{.*?\}\s*", "", svg), "utf-8")


def show(
    tell: Callable[[Story, Path], None], ending: str, title: str = "", picture: Path | None = None
) -> int:
    """Tell a story in a temporary folder, and its ending if it went well: the exit status.

    picture: where to put a picture of the run, under `title`.
    """
    story = Story(record=picture is not None)
    try:
        with tempfile.TemporaryDirectory() as folder:
            tell(story, Path(folder))
    except Failed as e:
        story.console.print(f"\n[bold red]FAILED[/bold red] {e}", soft_wrap=True)
        return 1
    story.console.print(f"\n[bold green]{ending}[/bold green]")
    if picture:
        save_picture(story.console, title, picture)
    return 0


def main() -> int:
    """The command: its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.story", description=__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the run as an SVG")
    picture = parser.parse_args().picture
    ending = "The identity was registered once and kept."
    return run(lambda: show(tell, ending, "make run", picture))


if __name__ == "__main__":
    sys.exit(main())
