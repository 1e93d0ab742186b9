"""`aliyun-iot deploy`: what is there, what will become of it, and the change itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from tools.arguments import board_files, remarks, show_roots
from tools.command import count
from tools.deploy.follow import restart_and_follow
from tools.deploy.mpremote import Mpremote
from tools.deploy.plan import BUILD, FOLDERS, PACKAGE_FOLDER, ROOTS_FOLDER, Plan, make_plan
from tools.deploy.ports import choose_port
from tools.deploy.state import BoardState, check_firmware, read_state
from tools.deploy.transfer import transfer
from tools.image import package_version
from tools.image.gateway import FOLDER as GATEWAY
from tools.image.gateway import chosen

_FLAT = (GATEWAY.rstrip("/") + ".mpy", GATEWAY.rstrip("/") + ".py")
"""Where earlier releases have it."""
_HIDING = {
    "/aliyun_iot": "it hides /lib/aliyun_iot: the board will run what is in it",
    "/umqtt": "it hides the firmware's own umqtt, which the package uses",
    "/lib/umqtt": "the firmware's own umqtt comes first, if it has one",
}
"""Folders that change which code runs: MicroPython looks in /, then in the firmware, then /lib."""
_NAMED = 8
"""How many files are named before they are only counted."""


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(escape, paths[:_NAMED])) + more


def _announce(plan: Plan, files: Mapping[str, bytes], state: BoardState, console: Console) -> None:
    """Say what the change does to what is on the board, before it happens."""
    if state.package is not None and state.package != package_version():
        version = escape(state.package)
        console.print(f"  the package there is {version}; this is {package_version()}")
    over = [path for path in plan.copy if path in state.files and path != BUILD]
    own = [path for path in over if not path.startswith(PACKAGE_FOLDER + "/")]
    if own:
        console.print(f"  replaces {_listed(own)}")
    if len(over) > len(own):
        console.print(f"  replaces {count(len(over) - len(own), 'file')} of the package")
    for path in plan.remove:
        console.print(f"  will remove {escape(path)}: {plan.reason(path)}")
    unread = {f"{path}/" for path in state.folders if path.count("/") == 1} - {"/lib/", "/roots/"}
    stays = sorted(set(state.files) - set(files) - set(plan.remove) | unread)
    if stays:
        console.print(f"  keeps {_listed(stays)}")
    for folder, why in _HIDING.items():
        if folder in state.folders or {folder + ".py", folder + ".mpy"} & set(state.files):
            console.print(f"  note: {folder} is on the board: {why}")


def _with_gateway(
    arguments: argparse.Namespace, whole: dict[str, bytes], state: BoardState, console: Console
) -> dict[str, bytes]:
    """The files, with the gateway or without.

    A board that has it keeps it, of this release, unless --no-gateway says otherwise: something
    else on the board than main.py may import it, and two releases must not mix.
    """
    wanted: bool | None = arguments.gateway
    files = chosen(whole, wanted)
    there = any(path.startswith((GATEWAY, *_FLAT)) for path in state.files)
    if wanted is None and len(files) < len(whole) and there:
        console.print("  note: the board has the gateway and keeps it; --no-gateway removes it")
        return whole
    return files


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

        def installed(done: int, total: int) -> None:
            text = f"putting in place, {done} of {total}"
            progress.update(task, description=text, completed=done, total=total)

        transfer(remote, plan, show, on_installed=installed)


def _install(
    arguments: argparse.Namespace, whole: dict[str, bytes], port: str, console: Console
) -> None:
    began = time.monotonic()
    with Mpremote(port) as remote:
        hashed = {PACKAGE_FOLDER, ROOTS_FOLDER, *(path for path in whole if path.count("/") == 1)}
        state = read_state(remote, FOLDERS, sorted(hashed))
        console.print(f"{port}: {state.machine}, {state.firmware}, MAC {state.mac}")
        remark = check_firmware(state)
        files = _with_gateway(arguments, whole, state, console)
        for text in [*([remark] if remark else []), *remarks(arguments, files)]:
            console.print(f"  note: {escape(text)}")
        plan = make_plan(files, state)
        for path in ("/product.json", "/wifi.json"):
            if path not in files and path not in state.files:
                console.print(f"  note: no {path[1:]} here, and none on the board")
        _announce(plan, files, state, console)
        if plan:
            _copy(remote, plan, console)
        for path in plan.remove:
            console.print(f"  removed {escape(path)}")
        console.print(
            f"  {count(len(plan.copy), 'file')} copied ({plan.bytes} bytes), {plan.kept} "
            f"unchanged, {time.monotonic() - began:.1f} s"
        )


def deploy(arguments: argparse.Namespace, console: Console) -> int:
    """The command: its exit status. Everything here is checked before the board is touched."""
    show_roots(arguments, console)
    files = board_files(arguments)
    port = choose_port(arguments.port)
    _install(arguments, files, port, console)
    if arguments.no_follow:
        return 0
    console.print("restarted; the board's log:")
    outcome = restart_and_follow(
        port,
        arguments.timeout,
        lambda text: console.print(f"  {escape(text)}"),
        settle=arguments.settle,
    )
    if outcome.device_name is None:
        what = "not connected" if outcome.was is None else f"connected as {outcome.was}, but died"
        console.print(f"[bold red]{escape(what)}[/bold red]: {escape(outcome.why)}")
        return 1
    console.print(f"[bold green]connected[/bold green] as {escape(outcome.device_name)}")
    return 0
