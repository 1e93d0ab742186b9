"""Options of the commands that write many boards."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.arguments import add_files, add_incomplete
from tools.command import file_name
from tools.image.layout import NEWEST_FIRMWARE
from tools.image.records import standard_file
from tools.provision.nvs import SIZE


def _add_ports(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="PORT",
        help="may be repeated; default: all on USB",
    )


def provision_parser(prog: str = "aliyun-iot provision") -> argparse.ArgumentParser:
    """Of the command that writes one board for each row of a CSV."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Put package, product certificate and, where the CSV has a column "
        "deviceSecret, each unit's own device certificate onto boards that run stock MicroPython: "
        "write, read back, compare. An interrupted run goes on where it stopped.",
        epilog="Exit status 0: every board at a port is right. Else each failed one was named.",
    )
    add = parser.add_argument
    add("csv", type=file_name, nargs="?", help="devices.csv: one row a unit")
    _add_ports(parser)
    add("--watch", action="store_true", help="after a board, wait for the next at its port")
    add_files(parser)
    add("--no-product", action="store_true", help="no product.json, even if it is there")
    add_incomplete(parser)
    add("--log", type=file_name, metavar="FILE", help="default: <csv>.log.jsonl")
    add(
        "--report",
        type=file_name,
        metavar="FILE",
        help="write an HTML page on the whole run so far",
    )
    add("--replace", action="store_true", help="overwrite another identity on a board")
    add(
        "--release",
        action="store_true",
        help="give out again the units that were begun on a board and never finished: only if "
        "those boards will never be used",
    )
    gang = parser.add_argument_group("image files for a gang programmer, no boards")
    add = gang.add_argument
    add("--images", type=file_name, metavar="FOLDER", help="one image a unit, and a list")
    add("--firmware", type=file_name, metavar="FILE", help="put in front of each image")
    add(
        "--firmware-version",
        metavar="VERSION",
        default=NEWEST_FIRMWARE,
        help="MicroPython of the boards, without --firmware; default: %(default)s",
    )
    add("--flash-size", metavar="SIZE", default="4MB", help="default: %(default)s")
    return parser


def preregister_parser(prog: str = "aliyun-iot preregister") -> argparse.ArgumentParser:
    """Of the command that lists the boards' names for the platform's console."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Add the DeviceNames of connected boards, made of their MAC addresses, to the "
        "list that the platform's console imports (Batch Add, Batch Upload).",
    )
    _add_ports(parser)
    add = parser.add_argument
    add(
        "--output",
        type=file_name,
        metavar="FILE",
        default=Path("preregister.csv"),
        help="default: %(default)s",
    )
    add("--prefix", default="", metavar="TEXT", help="deviceNamePrefix of product.json")
    add("--template", type=file_name, metavar="FILE", help="the console's own, for its first row")
    add("--blank", action="store_true", help="chips without firmware: ask the boot loader")
    return parser


def nvs_parser(prog: str = "aliyun-iot nvs") -> argparse.ArgumentParser:
    """Of the command that makes an NVS partition."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Make an NVS partition that carries the product certificate; the board reads "
        "it where it has no product.json, and copies it to that file.",
    )
    add = parser.add_argument
    standard = standard_file(None, "product.json") or Path("product.json")
    add(
        "--product", type=file_name, metavar="FILE", default=standard, help="default: product.json"
    )
    add(
        "--output",
        type=file_name,
        metavar="FILE",
        default=Path("nvs.bin"),
        help="default: %(default)s",
    )
    add("--size", metavar="SIZE", default=hex(SIZE), help="of the partition; default: %(default)s")
    add_incomplete(parser)
    return parser
