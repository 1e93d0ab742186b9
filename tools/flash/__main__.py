"""`aliyun-iot flash --port /dev/ttyUSB0 --firmware file.bin`; here `python -m tools.flash`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from tools.arguments import add_files, add_port, board_files, remarks, show_roots
from tools.command import UsageError, confirm, file_name, run
from tools.deploy import DeployError
from tools.deploy.identity import SUBDEVICES
from tools.deploy.plan import IDENTITY
from tools.deploy.ports import find_port
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
    RecordError,
    list_files,
    make_image,
    parse_size,
    read_file,
)
from tools.image.gateway import chosen
from tools.image.records import parse
from tools.image.rules import check_complete
from tools.private import PrivateFolder, write_private

DEVICE = "/device.json"


def flash_parser(prog: str = "aliyun-iot flash") -> argparse.ArgumentParser:
    """Of the command that writes firmware and files to a chip."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write MicroPython firmware and the file system image to a chip (ESP32, "
        "ESP32-S2, S3, C3) in one go. What is on the chip's file system is replaced.",
    )
    add = parser.add_argument
    add("--firmware", type=file_name, metavar="FILE", help="stock MicroPython .bin")
    add_port(parser)
    add_files(parser)
    add("--device", type=file_name, metavar="FILE", help="for unique certificates")
    add("--baud", type=int, default=BAUD, help="default: %(default)s")
    add("--erase", action="store_true", help="erase all of the flash first, NVS included")
    add(
        "--keep-identity",
        action="store_true",
        help="read the chip's identity first and put it into the new image",
    )
    add("--yes", action="store_true", help="do not ask before the file system is replaced")
    without = parser.add_argument_group("without a chip")
    without.add_argument(
        "--output",
        type=file_name,
        metavar="FILE",
        help="write a file for the whole flash",
    )
    without.add_argument(
        "--flash-size", metavar="SIZE", default="4MB", help="with --output; default: %(default)s"
    )
    return parser


def _image(
    arguments: argparse.Namespace, layout: FlashLayout, kept: dict[str, bytes], console: Console
) -> bytes:
    show_roots(arguments, console)
    files = chosen(board_files(arguments, arguments.device), arguments.gateway)
    if arguments.device is not None:  # another identity, and its successor would win over it
        kept = {path: content for path, content in kept.items() if path not in IDENTITY}
    files |= kept
    notes = remarks(arguments, files)
    if DEVICE not in files:
        product = files.get("/product.json")
        try:
            check_complete(None if product is None else parse("product.json", product), None)
        except RecordError:
            notes.append(
                "neither a productSecret nor a device certificate is written: the board cannot "
                "come online before make deploy brings one"
            )
    for text in notes:
        console.print(f"  note: {text}", markup=False)
    return make_image(files, layout)


def kept_in_flash(read: Callable[[int, int], bytes], flash_size: int) -> dict[str, bytes]:
    """The identity on the file system that a flash holds now: path -> content, as it is.

    device.json, its successor and a gateway's sub-devices; empty if there is none.
    read: gives the bytes at an offset, so many. flash_size: bytes.
    """
    partitions = parse_partitions(read(TABLE_OFFSET, TABLE_SIZE))
    if not partitions:
        return {}
    layout = vfs_layout(partitions, flash_size)
    image = read(layout.offset, layout.size)
    try:
        return {
            path: read_file(image, path) or b""
            for path in list_files(image)
            if path in IDENTITY or path.startswith(f"{SUBDEVICES}/")
        }
    except ImageError:
        return {}


def _reader(port: str, baud: int, folder: Path) -> Callable[[int, int], bytes]:
    """Read a chip's flash with esptool, by way of a private file."""

    def read(offset: int, size: int) -> bytes:
        file = folder / "read.bin"
        write_private(file, b"")
        run_esptool(read_arguments(port, offset, size, file, baud))
        return file.read_bytes()

    return read


def _write(arguments: argparse.Namespace, firmware: Firmware, console: Console) -> int:
    port = find_port(arguments.port)
    chip = detect_chip(port)
    console.print(f"{port}: {chip.name}, {chip.flash_size >> 20} MB of flash, MAC {chip.mac}")
    if chip.name != firmware.chip:
        raise FlashError(
            f"{firmware.path}: this firmware is for {firmware.chip}; the chip is {chip.name}"
        )
    layout = firmware.layout(chip.flash_size)
    if not arguments.yes and not arguments.keep_identity:
        console.print(
            "This replaces the board's file system. An identity on it (device.json, a gateway's "
            "sub-devices) is lost, and "
            "the platform issues a new one only after a reset of the device there; "
            "--keep-identity carries it over."
        )
        if not confirm(console, "Go on?", "--yes (make: YES=1)"):
            console.print("nothing was changed")
            return 1
    with PrivateFolder() as folder:
        kept: dict[str, bytes] = {}
        if arguments.keep_identity:
            console.print("reading the identity ...")
            read = _reader(port, arguments.baud, folder)
            kept = kept_in_flash(read, chip.flash_size)
            console.print("  found" if kept else "  the chip holds none")
        image = folder / "vfs.bin"
        write_private(image, _image(arguments, layout, kept, console))
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
    with PrivateFolder() as folder:
        image = folder / "vfs.bin"
        write_private(image, _image(arguments, layout, {}, console))
        write_private(arguments.output, b"")
        parts = [(firmware.offset, firmware.path), (layout.offset, image)]
        run_esptool(merge_arguments(firmware.chip, parts, arguments.output))
    console.print(f"{arguments.output}: for offset 0, {arguments.output.stat().st_size} bytes")
    return 0


def _run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.firmware is None:
        raise UsageError(
            "which firmware? Name a stock MicroPython .bin: --firmware FILE (make: FIRMWARE=FILE)"
        )
    firmware = read_firmware(arguments.firmware)
    console.print(f"{firmware.path.name}: MicroPython {firmware.version} for {firmware.chip}")
    if firmware.remark:
        console.print(f"  note: {firmware.remark}")
    action = _merge if arguments.output else _write
    return action(arguments, firmware, console)


def main(words: Sequence[str] | None = None) -> int:
    """The command: its exit status. words: its arguments; those of the process by default."""
    arguments = flash_parser().parse_args(words)
    console = Console(highlight=False, soft_wrap=True)
    return run(lambda: _run(arguments, console), FlashError, DeployError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
