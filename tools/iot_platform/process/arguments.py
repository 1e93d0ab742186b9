"""The options of `aliyun-iot platform`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.iot_platform.console.arguments import FIRST_WORDS


def platform_parser() -> argparse.ArgumentParser:
    """Options of the platform itself, not of commands for one that runs."""
    parser = argparse.ArgumentParser(
        prog="aliyun-iot platform",
        description="A local IoT Platform: dynamic registration over HTTPS and MQTT, an MQTT"
        " broker, gateways and sub-devices. Commands are read from standard input.",
        epilog=f"With {', '.join(FIRST_WORDS[:-1])} or {FIRST_WORDS[-1]} as the first word it is a"
        " command for the platform that runs, or for its database: see"
        " `aliyun-iot platform device --help`.",
    )
    add = parser.add_argument
    add("--listen", default="127.0.0.1", metavar="ADDRESS", help="default: loopback only")
    add("--https-port", type=_port, default=8443, metavar="PORT", help="default 8443; 0: any")
    add("--mqtt-tls-port", type=_port, default=8883, metavar="PORT", help="default 8883")
    add("--mqtt-port", type=_port, default=1883, metavar="PORT", help="plain TCP, default 1883")
    add(
        "--product",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="JSON file with products, their secrets and devices; a product.json will do",
    )
    add(
        "--device",
        action="append",
        default=[],
        metavar="PK/DN",
        help="pre-register this device of a known product",
    )
    add(
        "--database",
        type=Path,
        metavar="FILE",
        help="registry and record, default build/iot_platform/registry.db",
    )
    add(
        "--certificates",
        type=Path,
        metavar="FOLDER",
        help="the platform's own CA, default build/iot_platform",
    )
    add("--memory", action="store_true", help="keep registry, record and CA in memory only")
    add(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further host name or address for the server certificate",
    )
    add(
        "--instance",
        action="append",
        default=[],
        metavar="NAME[:TLS_PORT:TCP_PORT]",
        help="a further MQTT endpoint, to which `move` gives devices",
    )
    add(
        "--console",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where the console's page listens, default: loopback only; elsewhere it speaks HTTPS"
        " and asks for a token",
    )
    add("--console-port", type=_port, default=8440, metavar="PORT", help="default 8440")
    add(
        "--console-token",
        type=Path,
        metavar="FILE",
        help="holds the token, made if absent; default: console.token beside the database",
    )
    add("--no-console", action="store_true", help="no page, and no commands from elsewhere")
    add("--region", default="cn-shanghai", help="of the names in the server certificate")
    add(
        "--behaviour",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change how the platform acts where its documents leave room",
    )
    add("--list-behaviour", action="store_true", help="list what --behaviour changes, and end")
    add(
        "--no-limits",
        action="store_true",
        help="no limit of 5 connects and 5 sub-device logins a minute for one device",
    )
    add("--json", action="store_true", help="print a JSON line with the ports when ready")
    add("--verbose", action="store_true", help="show TCP, TLS and delivered messages too")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port from 0 to 65535")
    return int(text)
