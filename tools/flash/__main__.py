"""Flash a board: `python -m tools.flash --port /dev/ttyUSB0 --firmware file.bin`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tools.command import run
from tools.deploy import DeployError, choose_port
from tools.flash.errors import FlashError
from tools.flash.esptool import (
    BAUD,
    detect_chip,
    merge_arguments,
    read_arguments,
    run_esptool,
    write_arguments,
)
from tools.flash.firmware import (
    TABLE_OFFSET,
    TABLE_SIZE,
    Firmware,
    parse_partitions,
    read_firmware,
    vfs_layout,
)
from tools.image import (
    IMAGE_ERRORS,
    FlashLayout,
    ImageError,
    image_files,
    make_image,
    parse_size,
    read_file,
    shipped_roots,
)
from tools.layout import ROOT
from tools.private import write_private

DEVICE = "/device.json"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.flash",
        description="Write MicroPython firmware and the file system image to a chip (ESP32, "
        "ESP32-S2, S3, C3) in one go. What is on the chip's file system is replaced.",
    )
    add = parser.add_argument
    add("--firmware", type=Path, metavar="FILE", required=True, help="stock MicroPython .bin")
    add("--port", metavar="PORT", help="such as /dev/ttyUSB0")
    add("--product", type=Path, metavar="FILE", help="default: product.json, if it is there")
    add("--wifi", type=Path, metavar="FILE", help="default: wifi.json, if it is there")
    add("--device", type=Path, metavar="FILE", help="device certificate, for unique certificates")
    add("--root", type=Path, metavar="FILE", action="append", default=[], help="one more root")
    add("--optimise", type=int, choices=range(4), default=0, help="of mpy-cross; default: 0")
    add("--baud", type=int, default=BAUD, help="default: %(default)s")
    add("--erase", action="store_true", help="erase all of the flash first, NVS included")
    add(
        "--keep-identity",
        action="store_true",
        help="read the chip's device.json first and put it into the new image",
    )
    add("--yes", action="store_true", help="do not ask before the file system is replaced")
    without = parser.add_argument_group("without a chip")
    without.add_argument(
        "--output", type=Path, metavar="FILE", help="write one file for the whole flash instead"
    )
    without.add_argument(
        "--flash-size", metavar="SIZE", default="4MB", help="with --output; default: %(default)s"
    )
    return parser


def _standard(path: Path | None, name: str) -> Path | None:
    standard = ROOT / name
    return path or (standard if standard.exists() else None)


def _image(arguments: argparse.Namespace, layout: FlashLayout, identity: bytes | None) -> bytes:
    files = image_files(
        _standard(arguments.product, "product.json"),
        _standard(arguments.wifi, "wifi.json"),
        identity if arguments.device is None else arguments.device,
        roots=[*shipped_roots(), *arguments.root],
        optimise=arguments.optimise,
    )
    return make_image(files, layout)


def identity_in_flash(read: Callable[[int, int], bytes], flash_size: int) -> bytes | None:
    """device.json of the file system that a flash holds now, None if there is none.

    read: gives the bytes at an offset, so many. flash_size: bytes.
    """
    partitions = parse_partitions(read(TABLE_OFFSET, TABLE_SIZE))
    if not partitions:
        return None
    layout = vfs_layout(partitions, flash_size)
    try:
        return read_file(read(layout.offset, layout.size), DEVICE)
    except ImageError:
        return None


def _reader(port: str, baud: int, folder: Path) -> Callable[[int, int], bytes]:
    """Read a chip's flash with esptool, by way of a private file."""

    def read(offset: int, size: int) -> bytes:
        file = folder / "read.bin"
        write_private(file, b"")
        run_esptool(read_arguments(port, offset, size, file, baud))
        return file.read_bytes()

    return read


def _write(arguments: argparse.Namespace, firmware: Firmware, console: Console) -> int:
    port = choose_port(arguments.port)
    chip = detect_chip(port)
    console.print(f"{port}: {chip.name}, {chip.flash_size >> 20} MB of flash, MAC {chip.mac}")
    if chip.name != firmware.chip:
        raise FlashError(
            f"{firmware.path}: this firmware is for {firmware.chip}; the chip is {chip.name}"
        )
    layout = firmware.layout(chip.flash_size)
    if not arguments.yes and not arguments.keep_identity:
        console.print(
            "This replaces the board's file system. An identity on it (device.json) is lost, and "
            "the platform issues a new one only after a reset of the device there; "
            "--keep-identity carries it over."
        )
        if console.input("Go on? \\[y/N] ").strip().lower() not in ("y", "yes"):
            console.print("nothing was changed")
            return 1
    with tempfile.TemporaryDirectory(prefix="flash-") as name:
        folder = Path(name)
        identity = None
        if arguments.keep_identity:
            console.print("reading the identity ...")
            read = _reader(port, arguments.baud, folder)
            identity = identity_in_flash(read, chip.flash_size)
            console.print("  found" if identity else "  the chip holds none")
        image = folder / "vfs.bin"
        write_private(image, _image(arguments, layout, identity))
        parts = [(firmware.offset, firmware.path), (layout.offset, image)]
        run_esptool(
            write_arguments(
                firmware.chip, port, parts, baud=arguments.baud, erase=arguments.erase
            ),
            on_line=lambda line: console.print(f"  {line}", markup=False),
        )
    console.print("[bold green]written and verified[/bold green]; the board starts")
    return 0


def _merge(arguments: argparse.Namespace, firmware: Firmware, console: Console) -> int:
    layout = firmware.layout(parse_size(arguments.flash_size))
    with tempfile.TemporaryDirectory(prefix="flash-") as name:
        image = Path(name) / "vfs.bin"
        write_private(image, _image(arguments, layout, None))
        write_private(arguments.output, b"")
        parts = [(firmware.offset, firmware.path), (layout.offset, image)]
        run_esptool(merge_arguments(firmware.chip, parts, arguments.output))
    console.print(f"{arguments.output}: for offset 0, {arguments.output.stat().st_size} bytes")
    return 0


def _run(arguments: argparse.Namespace, console: Console) -> int:
    firmware = read_firmware(arguments.firmware)
    console.print(f"{firmware.path.name}: MicroPython {firmware.version} for {firmware.chip}")
    if firmware.remark:
        console.print(f"  note: {firmware.remark}")
    action = _merge if arguments.output else _write
    return action(arguments, firmware, console)


def main() -> int:
    """The command: its exit status."""
    arguments = _arguments().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    return run(lambda: _run(arguments, console), FlashError, DeployError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
