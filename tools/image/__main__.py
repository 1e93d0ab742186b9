"""Build a flash image: `python -m tools.image --product product.json --wifi wifi.json`."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.command import run
from tools.image import (
    IMAGE_ERRORS,
    FlashLayout,
    RecordError,
    RootError,
    image_files,
    load_root,
    make_image,
    parse_size,
    shipped_roots,
    stock_layout,
)
from tools.layout import BUILD, ROOT
from tools.private import write_private


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.image",
        description="Build the littlefs2 flash image of a board: boot.py, main.py, lib/ as .mpy, "
        "trust roots and the JSON files.",
        epilog="Write it to a chip with esptool at the offset that is shown, or boot it with "
        "python -m tools.board --image FILE.",
    )
    add = parser.add_argument
    add(
        "--product",
        type=Path,
        metavar="FILE",
        help="product certificate and options (product.json)",
    )
    add("--wifi", type=Path, metavar="FILE", help="networks to join (wifi.json)")
    add("--device", type=Path, metavar="FILE", help="device certificate, for unique certificates")
    add(
        "--root",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="one more trust root, PEM or DER, such as the platform's own; may be repeated",
    )
    add("--no-shipped-roots", action="store_true", help="leave the roots of firmware/roots/ out")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        default=BUILD / "flash.bin",
        help="default: %(default)s",
    )
    layout = parser.add_argument_group("where the file system lies")
    layout.add_argument(
        "--firmware", metavar="VERSION", default="1.28", help="MicroPython; default: %(default)s"
    )
    layout.add_argument(
        "--flash-size", metavar="SIZE", default="4MB", help="of the chip; default: %(default)s"
    )
    layout.add_argument(
        "--vfs-size", metavar="SIZE", help="of the partition, where the firmware is not stock"
    )
    layout.add_argument(
        "--vfs-offset", metavar="SIZE", default="0x200000", help="goes with --vfs-size"
    )
    layout.add_argument("--disk-version", choices=("2.0", "2.1"), help="of littlefs")
    add(
        "--optimise",
        type=int,
        choices=range(4),
        default=0,
        help="of mpy-cross: 0 keeps line numbers in tracebacks (default), 3 makes the least code",
    )
    add("--list", action="store_true", help="list the files of the image")
    return parser


def _layout(arguments: argparse.Namespace) -> FlashLayout:
    if arguments.vfs_size:
        layout = FlashLayout(parse_size(arguments.vfs_offset), parse_size(arguments.vfs_size))
    else:
        layout = stock_layout(parse_size(arguments.flash_size), arguments.firmware)
    if arguments.disk_version:
        layout = FlashLayout(layout.offset, layout.size, arguments.disk_version)
    return layout


def _default(path: Path | None, name: str) -> Path | None:
    """The file named on the command line, or the one in the repository's root, if there is one."""
    standard = ROOT / name
    return path or (standard if standard.exists() else None)


def _build(arguments: argparse.Namespace, console: Console) -> int:
    layout = _layout(arguments)
    product = _default(arguments.product, "product.json")
    wifi = _default(arguments.wifi, "wifi.json")
    device = _default(arguments.device, "device.json")
    if product is None and device is None:
        raise RecordError(
            "product.json: no such file; name one with --product (or a --device certificate)"
        )
    roots = [] if arguments.no_shipped_roots else shipped_roots()
    names = {root.name for root in roots}
    for path in arguments.root:
        root = load_root(path)
        if root.name in names:
            raise RootError(f"{path}: another root is called {root.name} already; rename the file")
        names.add(root.name)
        console.print(
            f"root {root.name}: {root.subject}, valid to {root.valid_to:%Y-%m-%d}\n"
            f"  SHA-256 {root.sha256}",
            highlight=False,
            soft_wrap=True,
        )
    roots += arguments.root
    files = image_files(product, wifi, device, roots=roots, optimise=arguments.optimise)
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


def main() -> int:
    """The command: its exit status."""
    arguments = _arguments().parse_args()
    return run(lambda: _build(arguments, Console()), *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
