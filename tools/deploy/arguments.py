"""Options that several commands share, and the parsers of those that talk to one board."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.command import file_name
from tools.deploy.follow import SETTLE
from tools.deploy.monitor import WAIT
from tools.image import image_files, shipped_roots
from tools.image.mpy import check_source
from tools.image.records import parse, product_remarks, standard_file
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


def deploy_parser(prog: str = "aliyun-iot deploy") -> argparse.ArgumentParser:
    """Of the command that puts the package onto a board."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Put the package and its files onto a board that runs stock MicroPython, "
        "restart it, and follow its log until the application runs. device.json is never touched.",
    )
    add_port(parser)
    add_files(parser)
    add = parser.add_argument
    add("--no-follow", action="store_true", help="leave the board stopped, at its prompt")
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        default=120,
        help="for the board to connect; default: %(default)s",
    )
    add(
        "--settle",
        type=float,
        metavar="SECONDS",
        default=SETTLE,
        help="that the application must run once it is connected; default: %(default)s",
    )
    return parser


def monitor_parser(prog: str = "aliyun-iot monitor") -> argparse.ArgumentParser:
    """Of the command that shows the boards' logs."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Show the log of one board or several, which run on undisturbed."
    )
    add = parser.add_argument
    add(
        "--port",
        action="append",
        default=[],
        metavar="PORT",
        help='such as /dev/ttyUSB0, or "id:<serial number>"; may be repeated; default: all on USB',
    )
    add(
        "--wait",
        type=float,
        metavar="SECONDS",
        default=WAIT,
        help="for a board that is unplugged to come back; default: %(default)s",
    )
    return parser


def identity_parser(prog: str = "aliyun-iot identity") -> argparse.ArgumentParser:
    """Of the command that shows what a board holds."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Show what a board holds of an identity, secrets masked."
    )
    add_port(parser)
    return parser


def erase_parser(prog: str = "aliyun-iot erase-identity") -> argparse.ArgumentParser:
    """Of the command that erases a board's identity."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Remove device.json, and a gateway's sub-devices, from a board, after asking.",
    )
    add_port(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def reset_parser(prog: str = "aliyun-iot reset") -> argparse.ArgumentParser:
    """Of the command that starts a board anew."""
    parser = argparse.ArgumentParser(prog=prog, description="Reset a board, as its button does.")
    add_port(parser)
    return parser


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
