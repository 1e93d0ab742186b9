"""The words of the commands: `aliyun-iot platform device add ...`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.iot_platform.console.fault_requests import PROBLEMS
from tools.iot_platform.console.inventory import CONNECTIONS, IDENTITIES
from tools.iot_platform.console.traffic import GROUPS
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.switches import FAULTS

PROGRAM = "aliyun-iot platform"
FIRST_WORDS = ("status", "product", "device", "publish", "fault", "events")
"""A command line that begins with one is a command; any other runs a platform."""
ON_DEVICES = {
    "show": "all there is to know of it",
    "reset": "let it register again, as ResetThing",
    "disable": "refuse it until it is enabled",
    "enable": "take a disable back",
    "delete": "delete it",
    "disconnect": "close its connection",
    "unbind": "take a sub-device from its gateway",
}


def parser(database: Path) -> argparse.ArgumentParser:
    """database: the default."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="What the console's page does, as commands: on the platform that runs, or on"
        " its database while none does.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--console",
        metavar="URL|FILE",
        help="the running platform: its page's address, or its console.json; default: the one"
        " beside the database",
    )
    common.add_argument(
        "--database",
        type=Path,
        default=database,
        metavar="FILE",
        help="to work on while no platform runs; default: %(default)s",
    )
    common.add_argument("--json", action="store_true", help="print the API's answer")
    words = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(where: Any, name: str, about: str, action: str) -> Callable[..., argparse.Action]:
        made = where.add_parser(name, help=about, description=about, parents=[common])
        made.set_defaults(action=action)
        method: Callable[..., argparse.Action] = made.add_argument
        return method

    def group(name: str, about: str) -> Any:
        made = words.add_parser(name, help=about, description=about)
        return made.add_subparsers(dest="what", required=True, metavar="WHAT")

    add(words, "status", "how many devices are in which state", "status")
    _products(group("product", "list, add, switch dynamic registration, show the secret"), add)
    _devices(group("device", "list, add, import, show, reset, disable, ..."), add)
    publish = add(words, "publish", "send a message to a device", "publish")
    publish("device", type=_identity, metavar="PK/DN")
    publish("topic", metavar="TOPIC")
    publish("payload", metavar="TEXT")
    publish("--qos", type=int, default=0, choices=(0, 1))
    publish("--hex", action="store_true", help="TEXT is hex")
    _faults(group("fault", "faults for the device to meet"), add)
    events = add(words, "events", "the traffic, oldest first", "events")
    events("--device", metavar="PK/DN")
    events("--group", choices=tuple(GROUPS))
    events("--refused", action="store_true", help="refusals and failures only")
    events("-n", dest="limit", type=int, default=20, metavar="N", help="default: 20")
    events("--follow", action="store_true", help="go on until Ctrl-C")
    return top


def subcommands(before: str) -> list[tuple[str, list[str]]]:
    """For a shell's completion: what was typed up to a word, and the words that may follow."""

    def below(parser: argparse.ArgumentParser, typed: str) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                found.append((typed, list(action.choices)))
                for word, one in action.choices.items():
                    below(one, f"{typed} {word}")

    found: list[tuple[str, list[str]]] = []
    below(parser(Path()), before)
    return found


def _products(where: Any, add: Callable[..., Callable[..., Any]]) -> None:
    listed = add(where, "list", "list the products", "product_list")
    listed("--search", metavar="TEXT", help="part of the ProductKey")
    new = add(where, "add", "add a product; what is not given is made up", "product_add")
    new("product_key", nargs="?", metavar="PK")
    new("--file", type=Path, metavar="FILE", help="take key and secret from a product.json")
    new("--gateway", action="store_true", help="its devices are gateways")
    new(
        "--dynamic-registration",
        choices=("on", "off"),
        help="default: on",
    )
    new("--registration-free", action="store_true", help="authType regnwl is allowed")
    switch = add(where, "switch", "dynamic registration", "product_switch")
    switch("product_key", metavar="PK")
    switch("on", choices=("on", "off"))
    secret = add(where, "secret", "print the ProductSecret", "product_secret")
    secret("product_key", metavar="PK")


def _devices(where: Any, add: Callable[..., Callable[..., Any]]) -> None:
    listed = add(where, "list", "list the devices", "device_list")
    listed("--product", metavar="PK")
    listed("--search", metavar="TEXT", help="part of the DeviceName")
    listed("--identity", choices=tuple(IDENTITIES))
    listed("--connection", choices=CONNECTIONS)
    listed("--disabled", action="store_true")
    listed("--failing", action="store_true", help="whose last error is not over")
    listed("--gateway", metavar="PK/DN", help="whose sub-devices")
    new = add(where, "add", "pre-register devices", "device_add")
    new("devices", type=_identity, nargs="+", metavar="PK/DN")
    new("--secret-file", type=Path, metavar="FILE", help="its DeviceSecret; one device only")
    many = add(where, "import", "pre-register the devices of a CSV list", "device_import")
    many("product_key", metavar="PK")
    many(
        "file", type=Path, metavar="FILE", help="first row: DeviceName; other columns are ignored"
    )
    for name, about in ON_DEVICES.items():
        one = add(where, name, about, "device_do")
        one("devices", type=_identity, nargs="+", metavar="PK/DN")
    secret = add(where, "secret", "print the DeviceSecret", "device_secret")
    secret("device", type=_identity, metavar="PK/DN")


def _faults(where: Any, add: Callable[..., Callable[..., Any]]) -> None:
    listed = add(where, "list", "the faults that are on", "fault_list")
    listed("device", type=_identity, nargs="?", metavar="PK/DN")
    on = add(where, "on", "switch a fault on", "fault_on")
    on("device", type=_identity, metavar="PK/DN")
    on("fault", choices=tuple(FAULTS))
    on("--times", type=_times, default=1, metavar="N|always", help="default: 1")
    on("--seconds", type=float, help="slow: how late (10); disconnect: how long after a connect")
    on("--code", type=int, help="refuse: a CONNACK code (256: none) or a result code (400 and up)")
    on("--address", help="certificate: IP address the device comes from; default: its last")
    on("--problem", choices=PROBLEMS, help=f"certificate; default: {PROBLEMS[0]}")
    off = add(where, "off", "switch a fault off, or all of a device", "fault_off")
    off("device", type=_identity, metavar="PK/DN")
    off("fault", nargs="?", choices=tuple(FAULTS))


def _identity(text: str) -> Identity:
    product_key, slash, device_name = text.partition("/")
    if not (slash and product_key and device_name):
        raise argparse.ArgumentTypeError(f"{text!r}: expected PRODUCTKEY/DEVICENAME")
    return Identity(product_key, device_name)


def _times(text: str) -> int | None:
    if text == "always":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number or always")
    return int(text)
