"""Options that several commands share, and what they name."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from tools.command import file_name
from tools.image import RootError, image_files, load_root, shipped_roots
from tools.image.mpy import check_source
from tools.image.records import parse, standard_file
from tools.image.rules import product_remarks
from tools.layout import ROOT


def add_port(parser: argparse._ActionsContainer) -> None:
    """--port, for one board."""
    parser.add_argument(
        "--port",
        metavar="PORT",
        help='such as /dev/ttyUSB0, or "id:<serial number>"; default: the only board on USB',
    )


def add_files(parser: argparse._ActionsContainer, *, main: bool = True) -> None:
    """The options that say what lies on a board."""
    add = parser.add_argument
    add("--product", type=file_name, metavar="FILE", help="default: product.json, if it is there")
    add("--wifi", type=file_name, metavar="FILE", help="default: wifi.json, if it is there")
    if main:
        add("--main", type=file_name, metavar="FILE", default=ROOT / "main.py", help="application")
    add(
        "--root",
        type=file_name,
        metavar="FILE",
        action="append",
        default=[],
        help="one more trust root, PEM or DER; may be repeated",
    )
    add("--no-shipped-roots", action="store_true", help="leave those of firmware/roots/ out")
    add(
        "--gateway",
        action=argparse.BooleanOptionalAction,
        help="whether aliyun_iot.gateway is put onto the board; default: if main.py imports it",
    )
    add("--optimise", type=int, choices=range(4), default=0, help="of mpy-cross; default: 0")


def add_incomplete(parser: argparse._ActionsContainer) -> None:
    """--incomplete: what is checked of the certificates, is not."""
    parser.add_argument(
        "--incomplete",
        action="store_true",
        help="accept certificates with which a board could neither register nor connect",
    )


def board_files(
    arguments: argparse.Namespace, device: Path | bytes | None = None
) -> dict[str, bytes]:
    """What the options of `add_files` name: absolute path on the board -> content.

    The gateway is among them, whether it is wanted or not: see `chosen`.
    device: device certificate. Every source is compiled, if only to see that it can be.
    Raises one of IMAGE_ERRORS.
    """
    main: Path = getattr(arguments, "main", ROOT / "main.py")
    for source in (main, ROOT / "boot.py"):
        check_source(source.read_bytes(), str(source))
    return image_files(
        standard_file(arguments.product, "product.json"),
        standard_file(arguments.wifi, "wifi.json"),
        device,
        main=main,
        roots=roots(arguments),
        optimise=arguments.optimise,
        gateway=True,
    )


def roots(arguments: argparse.Namespace) -> list[Path]:
    """The trust roots that the options name."""
    return [*([] if arguments.no_shipped_roots else shipped_roots()), *arguments.root]


def remarks(arguments: argparse.Namespace, files: dict[str, bytes]) -> list[str]:
    """What a person should know of these files before they are used; each one sentence."""
    found = []
    product = files.get("/product.json")
    if product is not None:
        name = str(standard_file(arguments.product, "product.json") or "product.json")
        found += product_remarks(parse(name, product), name)
    if not any(path.startswith("/roots/") for path in files):
        found.append(
            "no trust root at all: the board will trust no platform (--no-shipped-roots without "
            "--root)"
        )
    return found


def show_roots(arguments: argparse.Namespace, console: Console) -> None:
    """Show the roots that were added, to be compared. Raises RootError for two of one name."""
    names = {path.name for path in roots(arguments) if path not in arguments.root}
    for path in arguments.root:
        root = load_root(path)
        if root.name in names:
            raise RootError(f"{path}: another root is called {root.name} already; rename the file")
        names.add(root.name)
        console.print(
            f"root {root.name}: {root.subject}, valid to {root.valid_to:%Y-%m-%d}\n"
            f"  SHA-256 {root.sha256}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
