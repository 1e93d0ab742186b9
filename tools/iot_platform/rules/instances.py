"""Instances: MQTT endpoints between which a device can be moved. One is always there: default."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT = "default"
_TEXT = re.compile(r"(?P<name>[A-Za-z0-9-]{1,64})(?::(?P<tls>[0-9]{1,5}):(?P<tcp>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Instance:
    """host: what bootstrap tells a device. A port that is wanted may be 0: any free one."""

    name: str
    host: str
    mqtt_tls_port: int
    mqtt_tcp_port: int


def read_instance(text: str, host: str) -> Instance:
    """NAME or NAME:TLS_PORT:TCP_PORT, without ports any free ones. Raises ValueError."""
    match = _TEXT.fullmatch(text)
    tls, tcp = (int(match["tls"] or 0), int(match["tcp"] or 0)) if match else (0, 0)
    if match is None or max(tls, tcp) > 65_535:
        raise ValueError(
            f"instance {text!r}: expected NAME or NAME:TLS_PORT:TCP_PORT, the name of 1 to 64"
            " letters, digits and -"
        )
    if match["name"] == DEFAULT:
        raise ValueError(f"instance {text!r}: there is one of this name already")
    return Instance(match["name"], host, tls, tcp)
