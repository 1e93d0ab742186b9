"""`aliyun-iot deploy | monitor | identity | erase-identity | reset`; here `python -m tools.deploy`
with one of these words, deploy by default."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.command import confirm, count, run
from tools.deploy.arguments import (
    deploy_parser,
    erase_parser,
    identity_parser,
    monitor_parser,
    reset_parser,
)
from tools.deploy.errors import DeployError
from tools.deploy.follow import Line
from tools.deploy.identity import SUBDEVICES, Identity, erase_identity, read_identity
from tools.deploy.install import deploy
from tools.deploy.monitor import Monitor
from tools.deploy.mpremote import Mpremote
from tools.deploy.ports import choose_port, find_ports
from tools.image import IMAGE_ERRORS


def _monitor(arguments: argparse.Namespace, console: Console) -> int:
    ports = arguments.port or find_ports([])
    Monitor(ports, console, arguments.wait).run()
    return 0


def _shown(field: str, value: object) -> str:
    if field == "time" and isinstance(value, int):
        when = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        return f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return str(value)


def _table(identity: Identity) -> Table:
    table = Table("where", "field", "value", box=None)
    for path, record in identity.records.items():
        fields = record.content if isinstance(record.content, dict) else {}
        table.add_row(path, "", record.state)
        for field, value in fields.items():
            table.add_row("", escape(str(field)), escape(_shown(field, value)))
    for path, page in identity.subdevices.items():
        table.add_row(path, "", f"{page.state}: {count(len(page.names), 'sub-device')}")
        for key, name in page.names:
            table.add_row("", escape(key), escape(name))
    return table


def _identity(arguments: argparse.Namespace, console: Console) -> int:
    port = choose_port(arguments.port)
    with Mpremote(port) as remote:
        identity = read_identity(remote)
    console.print(
        f"{port}: MAC {identity.mac}, MicroPython {identity.firmware}, "
        + (f"registered as {identity.device_name}" if identity.device_name else "not registered"),
    )
    console.print(_table(identity))
    return 0


def _erase(arguments: argparse.Namespace, console: Console) -> int:
    port = choose_port(arguments.port)
    with Mpremote(port) as remote:
        identity = read_identity(remote)
        if not identity.files:
            console.print(f"{port}: the board holds no identity")
            return 0
        name = identity.device_name or "an unreadable record"
        if not arguments.yes:
            others = sum(len(page.names) for page in identity.subdevices.values())
            own = f" and of {count(others, 'sub-device')} in {SUBDEVICES}" if others else ""
            console.print(
                f"{port}: this removes the identity of {escape(name)}{own}. The platform issues a "
                "new DeviceSecret only after a reset of the device there, once it has been active."
            )
            if not confirm(console, "Erase it?", "--yes (make: YES=1)"):
                console.print("nothing was changed")
                return 1
        for path in erase_identity(remote):
            console.print(f"  removed {path}")
    return 0


def _reset(arguments: argparse.Namespace, console: Console) -> int:
    port = choose_port(arguments.port)
    try:
        with Mpremote(port) as remote:
            remote.run(["reset"])
    except DeployError:
        with Line(port) as line:  # no prompt to be had: by the wire
            line.pulse_reset()
    console.print(f"{port}: reset")
    return 0


Action = Callable[[argparse.Namespace, Console], int]
ACTIONS: dict[str, tuple[Callable[[str], argparse.ArgumentParser], Action]] = {
    "deploy": (deploy_parser, deploy),
    "monitor": (monitor_parser, _monitor),
    "identity": (identity_parser, _identity),
    "erase-identity": (erase_parser, _erase),
    "reset": (reset_parser, _reset),
}


def main(words: Sequence[str] | None = None) -> int:
    """The command: its exit status. words: its arguments; those of the process by default."""
    given = list(sys.argv[1:] if words is None else words)
    action = given.pop(0) if given and given[0] in ACTIONS else "deploy"
    parser, work = ACTIONS[action]
    arguments = parser(f"aliyun-iot {action}").parse_args(given)
    console = Console(highlight=False, soft_wrap=True)
    return run(lambda: work(arguments, console), DeployError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
