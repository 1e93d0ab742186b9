"""Boot a simulated board against a running platform: `python -m tools.board`."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tools.board.air import Networks
from tools.board.air import parse as parse_air
from tools.board.board import Board
from tools.board.lock import InUse, hold
from tools.board.serial_port import SerialPort, link, unlink
from tools.board.session import Session
from tools.command import run
from tools.image import (
    IMAGE_ERRORS,
    ImageError,
    RecordError,
    build_image,
    read_file,
    shipped_roots,
)
from tools.image.records import parse
from tools.layout import BUILD, ROOT

CTRL_X = b"\x18"
PLATFORM_ROOT = BUILD / "iot_platform" / "ca.der"
"""Where `python -m tools.iot_platform` keeps the certificate of its own authority."""


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aliyun-iot board",
        description="Boot a simulated ESP32 against a running platform (aliyun-iot "
        "platform), with its serial line in this terminal: Ctrl-C stops main.py, Ctrl-D "
        "at the prompt is a soft reset, Ctrl-X switches off.",
        epilog="What the board learns (device.json) is kept in its folder from run to run.",
    )
    add = parser.add_argument
    add(
        "--image",
        type=Path,
        metavar="FILE",
        help="flash image; default: built from the repository",
    )
    add("--product", type=Path, metavar="FILE", help="default: product.json")
    add("--wifi", type=Path, metavar="FILE", help="default: wifi.json, or any network")
    add("--device", type=Path, metavar="FILE", help="device certificate")
    add(
        "--root",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="one more trust root",
    )
    add("--mac", default="24:6f:28:aa:bb:cc", help="MAC address; default: %(default)s")
    add("--folder", type=Path, metavar="FOLDER", help="of the board; default: build/boards/<mac>")
    add("--erase", action="store_true", help="forget what the board has learned")
    add("--heap", metavar="SIZE", help='of the interpreter: "64wK" is 64 KiB of a 32-bit chip')
    add(
        "--air",
        metavar="FILE",
        help='networks in the air, as JSON or a file of it: {"name": "password"}, null for an '
        'open one, an object such as {"password": "...", "rssi": -80, "hidden": true}; default: '
        "whatever the board asks for can be joined",
    )
    add("--ntp", default="ok", help='"ok", "blocked" or "lies:<time>"; default: %(default)s')
    add("--pty", type=Path, metavar="LINK", help="serve a serial port for mpremote at this link")
    net = parser.add_argument_group("where the platform is")
    net.add_argument(
        "--platform", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s"
    )
    net.add_argument("--https-port", type=int, default=8443, help="default: %(default)s")
    net.add_argument("--mqtt-tls-port", type=int, default=8883, help="default: %(default)s")
    net.add_argument("--mqtt-port", type=int, default=1883, help="plain TCP; default: %(default)s")
    net.add_argument(
        "--resolve",
        metavar="NAME=ADDRESS",
        action="append",
        default=[],
        help="what a name leads to, NAME:PORT=ADDRESS:PORT where the port changes too",
    )
    return parser


def _mac(arguments: argparse.Namespace) -> str:
    mac: str = arguments.mac.lower().replace(":", "").replace("-", "")
    return mac


def _names(arguments: argparse.Namespace, product: Mapping[str, Any]) -> dict[str, str]:
    """The DNS: every name leads to the platform, its well-known ports to the ones it has."""
    where = arguments.platform
    plain = product.get("securemode") == 3
    tls = f"{where}:{arguments.mqtt_tls_port}"
    names = {
        "*:443": f"{where}:{arguments.https_port}",
        "*:8883": tls,
        "*:1883": f"{where}:{arguments.mqtt_port}" if plain else tls,
        "*": where,
        # Port 443 of the MQTT hosts speaks MQTT.
        f"{product.get('instanceId')}.mqtt.iothub.aliyuncs.com:443": tls,
        f"{product.get('productKey')}.iot-as-mqtt."
        f"{product.get('region', 'cn-shanghai')}.aliyuncs.com:443": tls,
    }
    for entry in arguments.resolve:
        name, separator, address = entry.partition("=")
        if not (name and separator and address):
            raise ValueError(f'--resolve: "{entry}"; expected NAME=ADDRESS')
        names[name] = address
    return names


def _build(arguments: argparse.Namespace) -> bytes:
    """The flash image, made from the repository."""
    product: Path = arguments.product or ROOT / "product.json"
    if not product.exists():
        raise RecordError(
            f"{product}: no such file; name one with --product, or an image with --image"
        )
    wifi: Path = arguments.wifi or ROOT / "wifi.json"
    any_network = {"ssid": "simulated", "password": ""}
    roots = [*shipped_roots(), *arguments.root]
    if PLATFORM_ROOT.exists():
        roots.append(PLATFORM_ROOT)
    network = wifi if arguments.wifi or wifi.exists() else any_network
    return build_image(product, network, arguments.device, roots=roots)


def _product(image: bytes) -> dict[str, Any]:
    """What product.json of the image says; nothing, if it says nothing sensible."""
    try:
        return parse("product.json", read_file(image, "/product.json") or b"")
    except (ImageError, RecordError):
        return {}


def _air(said: str | None) -> Networks | None:
    if said is None:
        return None
    text = said if said.lstrip().startswith("{") else Path(said).read_text("utf-8")
    return parse_air(text)


def _board(arguments: argparse.Namespace) -> Board:
    mac = _mac(arguments)
    folder = arguments.folder or BUILD / "boards" / mac
    image = arguments.image.read_bytes() if arguments.image else _build(arguments)
    identity = None
    if not arguments.erase and not arguments.device and (folder / "flash.bin").exists():
        with contextlib.suppress(ImageError):
            identity = Board(None, folder, mac).read("/device.json")
    names = _names(arguments, _product(image))
    air = _air(arguments.air)
    board = Board(
        image, folder, mac, resolve=names, wifi=air, ntp=arguments.ntp, heap=arguments.heap
    )
    if air is None:
        said = "any network can be joined, with any password; --air says which there are"
        print(said, file=sys.stderr)
    if identity is not None and board.read("/device.json") is None:
        board.write("/device.json", identity)
        print(f"device.json of the last run is on the flash again ({folder}); --erase forgets it")
    return board


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Keys go to the board as they are typed, Ctrl-C included."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _show(data: bytes) -> None:
    if not sys.stdout.isatty():
        data = data.replace(b"\r\n", b"\n")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _converse(session: Session) -> None:
    """A person at a terminal: keys go to the board until Ctrl-X."""
    keyboard = sys.stdin.fileno()
    while session.ending is None:
        session.step(60, also=(keyboard,))
        if not select.select([keyboard], [], [], 0)[0]:
            continue
        keys, off, _ = os.read(keyboard, 1024).partition(CTRL_X)
        session.send(keys)
        if off:
            return


def _follow(session: Session) -> None:
    """Piped input: a line at every prompt, Ctrl-C at once; ends when the last is carried out.

    Without any input the board runs until a signal ends it.
    """
    lines = sys.stdin.buffer.read().replace(b"\x03", b"\x03\n").splitlines()
    for number, line in enumerate([*lines, b""]):
        while session.ending is None and not (session.at_prompt and lines) and line != b"\x03":
            session.step(60)
        if session.ending is None and number < len(lines):
            session.send(line if line == b"\x03" else line + b"\r")


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _linked(path: str, name: Path) -> Iterator[None]:
    key = hashlib.sha256(os.fsencode(name.absolute())).hexdigest()[:16]
    hold(BUILD / "boards" / f".pty-{key}", f"{name}: another simulated board is at this link")
    link(path, name)
    try:
        yield
    finally:
        unlink(path, name)


class Died(Exception):
    """The interpreter itself ended by a signal."""


def _run(arguments: argparse.Namespace) -> int:
    board = _board(arguments)
    try:  # held until this process ends
        where = f"{arguments.platform}-{arguments.https_port}"
        hold(BUILD / "boards" / f".{board.mac}-{where}", "a simulated board with this MAC address")
    except InUse as e:
        said = "is under power already, against the same platform: each will throw the other out"
        print(f"note: {e} {said}; --mac chooses another", file=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if arguments.pty:
            with SerialPort(board) as port, _linked(port.path, arguments.pty):
                print(
                    f"board {board.mac} on {arguments.pty} ({port.path}); Ctrl-C switches it off"
                )
                sys.stdout.flush()
                while port.alive:
                    time.sleep(0.5)
            if port.error is not None:
                raise port.error
        else:
            with _raw_terminal(), board.power_on(max_boots=1_000_000, echo=_show) as session:
                if sys.stdin.isatty():
                    _converse(session)
                else:
                    _follow(session)
            print()
            if session.died_of is not None:
                raise Died(f"the interpreter died of {session.died_of}")
    except KeyboardInterrupt:  # how it is switched off
        print()
    return 0


def main() -> int:
    """The command: its exit status."""
    arguments = _arguments().parse_args()
    return run(lambda: _run(arguments), *IMAGE_ERRORS, ValueError, InUse, Died)


if __name__ == "__main__":
    sys.exit(main())
