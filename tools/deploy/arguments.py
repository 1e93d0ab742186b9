"""The commands that talk to one board, or follow some: their options."""

from __future__ import annotations

import argparse

from tools.arguments import add_files, add_port
from tools.deploy.follow import SETTLE
from tools.deploy.monitor import WAIT


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
