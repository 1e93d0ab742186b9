"""Runs the local IoT Platform, or a command on it: `python -m tools.iot_platform --help`."""

from __future__ import annotations

import argparse
import io
import json
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from rich.console import Console

from tools.command import count
from tools.iot_platform.console import command
from tools.iot_platform.console.arguments import FIRST_WORDS
from tools.iot_platform.console.guard import is_loopback
from tools.iot_platform.console.place import NAME, Place, token_of
from tools.iot_platform.console.server import ConsoleSettings
from tools.iot_platform.network.certificates import Certificate
from tools.iot_platform.process.arguments import platform_parser
from tools.iot_platform.process.commands import Commands, Quit
from tools.iot_platform.process.live_log import LiveLog
from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.process.offline import open_database
from tools.iot_platform.process.options import SettingError, behaviour_help, change_behaviour
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.instances import DEFAULT
from tools.iot_platform.store.seed import SeedError, add_device, add_from_file, read_identity
from tools.layout import BUILD

_FOLDER = BUILD / "iot_platform"
_PER_MINUTE = 5


def main(arguments: list[str] | None = None) -> int:
    """Runs until `quit`, Ctrl-C or SIGTERM. Returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] and words[0] in FIRST_WORDS:
        return command.main(words, _FOLDER / "registry.db", open_database)
    parser = platform_parser()
    if words and not words[0].startswith("-"):
        expected = f"{', '.join(FIRST_WORDS[:-1])} or {FIRST_WORDS[-1]}"
        parser.error(f"{words[0]}: no such command; expected {expected}")
    options = parser.parse_args(words)
    console = Console()
    if options.list_behaviour:
        print(behaviour_help())
        return 0
    try:
        limit = None if options.no_limits else _PER_MINUTE
        behaviour = Behaviour(connects_per_minute=limit, logins_per_minute=limit)
        for setting in options.behaviour:
            change_behaviour(behaviour, setting)
        platform = _platform(options, behaviour)
        platform.start()
        place = _note_place(platform, options)
    except (SettingError, OSError, sqlite3.Error, ValueError) as error:
        print(f"error: {_reason(error)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for path in options.product:
            add_from_file(platform.registry, path)
        for text in options.device:
            add_device(platform.registry, read_identity(text))
        platform.record.listen(LiveLog(console, options.verbose).show)
        _announce(platform, options, console)
        _take_commands(Commands(platform), console)
    except (SeedError, ValueError, KeyError) as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    finally:
        platform.stop()
        if place is not None:
            place.unlink(missing_ok=True)
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror  # names the port
    return str(error)


def _platform(options: argparse.Namespace, behaviour: Behaviour) -> LocalPlatform:
    names = list(options.name)
    if options.listen not in ("127.0.0.1", "0.0.0.0", "::", "localhost"):
        names.append(options.listen)
    database = _database(options)
    certificates = options.certificates or _FOLDER
    if not options.memory:
        database.parent.mkdir(parents=True, exist_ok=True)
    return LocalPlatform(
        behaviour=behaviour,
        host=options.listen,
        https_port=options.https_port,
        mqtt_tls_port=options.mqtt_tls_port,
        mqtt_tcp_port=options.mqtt_port,
        database=None if options.memory else database,
        certificates=None if options.memory else certificates,
        certificate=Certificate(names=tuple(names), region=options.region),
        instances=options.instance,
        console=_console(options),
    )


def _console(options: argparse.Namespace) -> ConsoleSettings | None:
    if options.no_console:
        return None
    token = None
    if not is_loopback(options.console):
        path = options.console_token
        if path is None and options.memory:
            raise ValueError("--console: elsewhere than on loopback, name a --console-token file")
        path = path or _database(options).with_name("console.token")
        path.parent.mkdir(parents=True, exist_ok=True)
        token = token_of(path)
    return ConsoleSettings(options.console, options.console_port, tuple(options.name), token)


def _database(options: argparse.Namespace) -> Path:
    database: Path = options.database or _FOLDER / "registry.db"
    return database


def _note_place(platform: LocalPlatform, options: argparse.Namespace) -> Path | None:
    """Tells commands where the console is; returns the file. Nothing is left of one in memory."""
    if options.no_console or options.memory:
        return None
    settings = _console(options)
    token = settings.token if settings is not None else None
    ca = platform.ca_pem.decode() if token is not None else None
    path = _database(options).with_name(NAME)
    Place(platform.console_url, token, ca).write(path)
    return path


def _announce(platform: LocalPlatform, options: argparse.Namespace, console: Console) -> None:
    if options.json:
        ports = {
            "https": platform.https_port,
            "mqtt-tls": platform.mqtt_tls_port,
            "mqtt-tcp": platform.mqtt_tcp_port,
        }
        ready: dict[str, object] = {"host": options.listen, "ports": ports}
        ready["console"] = platform.console_url
        further = [i for i in platform.instances.values() if i.name != DEFAULT]
        if further:
            ready["instances"] = {
                i.name: {"mqtt-tls": i.mqtt_tls_port, "mqtt-tcp": i.mqtt_tcp_port} for i in further
            }
        print(json.dumps(ready), flush=True)
    console.print(
        f"IoT Platform ready on {options.listen}: HTTPS {platform.https_port},"
        f" MQTT over TLS {platform.mqtt_tls_port}, MQTT {platform.mqtt_tcp_port}",
        style="bold",
        highlight=False,
    )
    for instance in platform.instances.values():
        if instance.name != DEFAULT:
            text = (
                f"instance {instance.name}: MQTT over TLS {instance.mqtt_tls_port},"
                f" MQTT {instance.mqtt_tcp_port}"
            )
            console.print(text, highlight=False)
    if platform.console_url:
        text = f"console: {platform.console_url}"
        console.print(text, style="bold", highlight=False, soft_wrap=True)
        if not is_loopback(options.console):
            path = options.console_token or _database(options).with_name("console.token")
            text = f"from elsewhere by this machine's name or address, with the token in {path}"
            console.print(text, highlight=False, soft_wrap=True)
    if not options.memory:
        root = (options.certificates or _FOLDER) / "ca.der"
        text = f"its root certificate for the device: {root}"
        console.print(text, highlight=False, soft_wrap=True)
    if options.listen in ("0.0.0.0", "::") and not options.name:
        console.print("devices elsewhere need this machine's name or address in the certificate:")
        console.print("start with --name HOST")
    products = len(platform.registry.products())
    hint = "" if products else "; add one with `add-product FILE` (a product.json will do)"
    text = f"{count(products, 'product')}{hint}; `help` lists the commands"
    console.print(text, highlight=False, soft_wrap=True)


def _take_commands(commands: Commands, console: Console) -> None:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a stray byte must not end the platform
    try:
        for text in sys.stdin:
            answer = commands.run(text)
            if answer:
                console.print(answer, highlight=False, markup=False, soft_wrap=True)
    except Quit:
        return
    if not sys.stdin.isatty():  # run in the background, without input: until a signal comes
        threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
