"""`aliyun-iot image --product product.json --wifi wifi.json`; here `python -m tools.image`."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.arguments import add_files, add_incomplete, board_files, remarks, show_roots
from tools.command import file_name, run
from tools.flash.errors import FlashError
from tools.flash.firmware import read_firmware
from tools.image import (
    IMAGE_ERRORS,
    FlashLayout,
    RecordError,
    make_image,
    parse_size,
    stock_layout,
)
from tools.image.gateway import chosen
from tools.image.layout import NEWEST_FIRMWARE
from tools.image.records import parse, standard_file
from tools.image.rules import check_complete
from tools.layout import BUILD
from tools.private import write_private


def image_parser(prog: str = "aliyun-iot image") -> argparse.ArgumentParser:
    """Of the command that builds a flash image."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Build the littlefs2 flash image of a board: boot.py, main.py, lib/ as .mpy, "
        "trust roots and the JSON files.",
        epilog="Write it to a chip with esptool at the offset that is shown, or boot it with "
        "aliyun-iot board --image FILE.",
    )
    add = parser.add_argument
    add_files(parser)
    add("--device", type=file_name, metavar="FILE", help="for unique certificates")
    add_incomplete(parser)
    add(
        "--output",
        type=file_name,
        metavar="FILE",
        default=BUILD / "flash.bin",
        help="default: %(default)s",
    )
    add("--list", action="store_true", help="list the files of the image")
    layout = parser.add_argument_group("where the file system lies")
    add = layout.add_argument
    add("--firmware", type=file_name, metavar="FILE", help="the .bin that the board runs")
    add(
        "--firmware-version",
        metavar="VERSION",
        default=NEWEST_FIRMWARE,
        help="MicroPython, without --firmware; default: %(default)s",
    )
    add("--flash-size", metavar="SIZE", default="4MB", help="of the chip; default: %(default)s")
    add("--vfs-size", metavar="SIZE", help="of the partition, where the firmware is not stock")
    add("--vfs-offset", metavar="SIZE", default="0x200000", help="goes with --vfs-size")
    add("--disk-version", choices=("2.0", "2.1"), help="of littlefs")
    return parser


def _layout(arguments: argparse.Namespace) -> FlashLayout:
    if arguments.vfs_size:
        layout = FlashLayout(parse_size(arguments.vfs_offset), parse_size(arguments.vfs_size))
    elif arguments.firmware:
        layout = read_firmware(arguments.firmware).layout(parse_size(arguments.flash_size))
    else:
        layout = stock_layout(parse_size(arguments.flash_size), arguments.firmware_version)
    if arguments.disk_version:
        layout = FlashLayout(layout.offset, layout.size, arguments.disk_version)
    return layout


def _build(arguments: argparse.Namespace, console: Console) -> int:
    layout = _layout(arguments)
    device: Path | None = standard_file(arguments.device, "device.json")
    product = standard_file(arguments.product, "product.json")
    if product is None and device is None and not arguments.incomplete:
        raise RecordError(
            "product.json: no such file; name one with --product (or a --device certificate)"
        )
    show_roots(arguments, console)
    files = chosen(board_files(arguments, device), arguments.gateway)
    if not arguments.incomplete:
        content = files.get("/product.json")
        record = None if content is None else parse("product.json", content)
        check_complete(record, {} if device is not None else None)
    for text in remarks(arguments, files):
        console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)
    image = make_image(files, layout)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_private(arguments.output, image)
    if arguments.list:
        table = Table("file", "bytes", box=None)
        table.columns[1].justify = "right"
        for path, content in sorted(files.items()):
            table.add_row(path, str(len(content)))
        console.print(table)
    code = sum(len(content) for path, content in files.items() if path.endswith(".mpy"))
    console.print(
        f"{arguments.output}: {layout.block_count} blocks of 4096 bytes for offset "
        f"{layout.offset:#x}, littlefs {layout.disk_version}\n"
        f"  {len(files)} files, {code} bytes of .mpy\n"
        f"  SHA-256 {hashlib.sha256(image).hexdigest()}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The command: its exit status. words: its arguments; those of the process by default."""
    arguments = image_parser().parse_args(words)
    return run(lambda: _build(arguments, Console()), FlashError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
