"""Deploy to a board: `python -m tools.deploy [deploy|monitor|identity|erase-identity]`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from tools.command import run
from tools.deploy.errors import DeployError
from tools.deploy.follow import Line, restart_and_follow
from tools.deploy.identity import erase_identity, read_identity
from tools.deploy.mpremote import Mpremote
from tools.deploy.plan import FOLDERS, PACKAGE_FOLDER, ROOTS_FOLDER, Plan, make_plan
from tools.deploy.ports import choose_port
from tools.deploy.state import check_firmware, read_state
from tools.deploy.transfer import transfer
from tools.image import IMAGE_ERRORS, image_files, shipped_roots
from tools.layout import ROOT


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.deploy",
        description="Put the package and its files onto a board that runs stock MicroPython, "
        "restart it, and follow its log until it is connected. device.json is never touched.",
    )
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        default="deploy",
        choices=("deploy", "monitor", "identity", "erase-identity"),
        help="default: deploy. monitor: follow the log; identity: what the board holds, secrets "
        "masked; erase-identity: remove device.json, after asking",
    )
    add("--port", metavar="PORT", help='such as /dev/ttyUSB0, or "id:<serial number>"')
    files = parser.add_argument_group("deploy")
    add = files.add_argument
    add("--product", type=Path, metavar="FILE", help="default: product.json, if it is there")
    add("--wifi", type=Path, metavar="FILE", help="default: wifi.json, if it is there")
    add("--main", type=Path, metavar="FILE", default=ROOT / "main.py", help="default: main.py")
    add(
        "--root",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="one more trust root, PEM or DER; may be repeated",
    )
    add("--no-shipped-roots", action="store_true", help="leave those of firmware/roots/ out")
    add("--optimise", type=int, choices=range(4), default=0, help="of mpy-cross; default: 0")
    add("--no-follow", action="store_true", help="leave the board stopped, at its prompt")
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        default=120,
        help="for the board to connect; default: %(default)s",
    )
    parser.add_argument("--yes", action="store_true", help="erase-identity: do not ask")
    return parser


def _standard(path: Path | None, name: str) -> Path | None:
    standard = ROOT / name
    return path or (standard if standard.exists() else None)


def _files(arguments: argparse.Namespace) -> dict[str, bytes]:
    roots = [] if arguments.no_shipped_roots else shipped_roots()
    return image_files(
        _standard(arguments.product, "product.json"),
        _standard(arguments.wifi, "wifi.json"),
        main=arguments.main,
        roots=[*roots, *arguments.root],
        optimise=arguments.optimise,
    )


def _copy(remote: Mpremote, plan: Plan, console: Console) -> None:
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("copying", total=plan.bytes)

        def show(path: str, finished: int) -> None:
            progress.update(task, description=path, completed=finished)
            if not console.is_terminal:
                console.print(f"  {path}")

        transfer(remote, plan, show)


def _deploy(arguments: argparse.Namespace, port: str, console: Console) -> int:
    began = time.monotonic()
    files = _files(arguments)
    with Mpremote(port) as remote:
        hashed = {path.rpartition("/")[0] or path for path in files} - {"/lib"}
        hashed |= {PACKAGE_FOLDER, ROOTS_FOLDER, *(path for path in files if path.count("/") == 1)}
        state = read_state(remote, FOLDERS, sorted(hashed))
        console.print(f"{port}: {state.machine}, {state.firmware}, MAC {state.mac}")
        remark = check_firmware(state)
        if remark:
            console.print(f"  note: {remark}")
        plan = make_plan(files, state)
        for path in ("/product.json", "/wifi.json"):
            if path not in files and path not in state.files:
                console.print(f"  note: no {path[1:]} here, and none on the board")
        if plan:
            _copy(remote, plan, console)
        for path in plan.remove:
            console.print(f"  removed {path}")
        console.print(
            f"  {len(plan.copy)} files copied ({plan.bytes} bytes), {plan.kept} unchanged, "
            f"{time.monotonic() - began:.1f} s",
        )
    if arguments.no_follow:
        return 0
    console.print("restarted; the board's log:")
    outcome = restart_and_follow(
        port, arguments.timeout, lambda text: console.print(f"  {escape(text)}")
    )
    if outcome.device_name is None:
        console.print(f"[bold red]not connected[/bold red]: {escape(outcome.why)}")
        return 1
    console.print(f"[bold green]connected[/bold green] as {escape(outcome.device_name)}")
    return 0


def _monitor(port: str, console: Console) -> int:
    console.print(f"{port}: the board's log; Ctrl-C ends this, the board runs on")
    with Line(port) as line:
        for text in line.lines(float("inf")):
            console.print(f"{time.strftime('%H:%M:%S')} {escape(text)}")
    return 0


def _identity(port: str, console: Console) -> int:
    with Mpremote(port) as remote:
        identity = read_identity(remote)
    console.print(
        f"{port}: MAC {identity.mac}, MicroPython {identity.firmware}, "
        + (f"registered as {identity.device_name}" if identity.device_name else "not registered"),
    )
    table = Table("where", "field", "value", box=None)
    for path, record in identity.records.items():
        fields = record.content if isinstance(record.content, dict) else {}
        table.add_row(path, "", record.state)
        for field, value in fields.items():
            table.add_row("", escape(str(field)), escape(str(value)))
    console.print(table)
    return 0


def _erase(arguments: argparse.Namespace, port: str, console: Console) -> int:
    with Mpremote(port) as remote:
        identity = read_identity(remote)
        if not any(path.startswith("/device.json") for path in identity.records):
            console.print(f"{port}: the board holds no identity")
            return 0
        name = identity.device_name or "an unreadable record"
        if not arguments.yes:
            console.print(
                f"{port}: this removes the identity of {escape(name)}. The platform issues a new "
                "DeviceSecret only after a reset of the device there, once it has been active.",
            )
            if console.input("Erase it? \\[y/N] ").strip().lower() not in ("y", "yes"):
                console.print("nothing was changed")
                return 1
        for path in erase_identity(remote):
            console.print(f"  removed {path}")
    return 0


def _run(arguments: argparse.Namespace, console: Console) -> int:
    port = choose_port(arguments.port)
    if arguments.action == "monitor":
        return _monitor(port, console)
    if arguments.action == "identity":
        return _identity(port, console)
    if arguments.action == "erase-identity":
        return _erase(arguments, port, console)
    return _deploy(arguments, port, console)


def main() -> int:
    """The command: its exit status."""
    arguments = _arguments().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    return run(lambda: _run(arguments, console), DeployError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
