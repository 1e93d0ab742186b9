"""What is in the air around a simulated board: access points, and how long the radio takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JOIN_SECONDS = 1.07
"""From `connect()` to an address, as seen on stock firmware; the next two likewise."""
ABSENT_SECONDS = 2.45
"""From `connect()` to "no access point found": one scan of all channels."""
BEACON_SECONDS = 6.0
"""From the last beacon of an access point to the driver's giving it up (ESP-IDF's default)."""

OPEN, WPA2 = 0, 3
"""Kinds of security, as `WLAN.scan()` numbers them."""


@dataclass(frozen=True)
class AccessPoint:
    """One access point. Frozen: to switch it off or change it, assign `Board.wifi` anew."""

    password: str | bytes | None = field(default=None, repr=False)
    """None: an open network. "*": any will do."""
    rssi: int = -55
    """Signal strength, dBm: of several with one name the driver takes the strongest."""
    channel: int = 1
    hidden: bool = False
    """A scan then shows it without its name. It is joined like any other."""
    security: int | None = None
    """As `scan()` numbers it; by default WPA2, or 0 where there is no password."""
    status: int | None = None
    """A disconnect reason (200 to 205, 15, ...) that every attempt ends with, at once."""
    dhcp_seconds: float = 0.0
    """Between association and address; `math.inf`: no address, and one that was given is lost."""
    bssid: str = "02:00:00:00:00:01"

    def __post_init__(self) -> None:
        if len(bytes.fromhex(self.bssid.replace(":", ""))) != 6:
            raise ValueError(f'bssid: "{self.bssid}"; expected 12 hex digits')


Networks = Mapping[str, "str | int | AccessPoint | Sequence[AccessPoint] | None"]
"""ssid -> password, None for an open network; or the status that joining ends with; or all that
is to be said of it, for each access point of that name. The ssid "*" is any name. Bytes that are
no UTF-8 are written as `os.fsdecode` writes them."""


_FIELDS: dict[str, type | tuple[type, ...]] = {
    "password": (str, type(None)),
    "rssi": int,
    "channel": int,
    "hidden": bool,
    "security": (int, type(None)),
    "status": (int, type(None)),
    "dhcp_seconds": (int, float, type(None)),
    "bssid": str,
}


def _point(ssid: str, said: object) -> AccessPoint:
    if not isinstance(said, dict):
        raise ValueError(
            f"air: {ssid}: expected a password, null for an open network, a status, an object "
            "with the fields of an access point, or a list of those"
        )
    for name, value in said.items():
        kind = _FIELDS.get(name)
        if kind is None:
            raise ValueError(f"air: {ssid}: {name}: expected one of {', '.join(_FIELDS)}")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"air: {ssid}: {name}: a value of another type was expected")
    fields = dict(said)
    if fields.get("dhcp_seconds", 0) is None:
        fields["dhcp_seconds"] = math.inf
    return AccessPoint(**fields)


def parse(text: str) -> Networks:
    """The networks that a person names in JSON: an object, ssid -> what `Networks` has for it.

    An access point is an object with the fields of `AccessPoint`; `"dhcp_seconds": null` is never.
    Raises ValueError.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("air: not JSON") from None
    if not isinstance(said, dict):
        raise ValueError("air: expected an object, ssid -> password")
    networks: dict[str, str | int | AccessPoint | Sequence[AccessPoint] | None] = {}
    for ssid, value in said.items():
        if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
            networks[ssid] = value
        elif isinstance(value, list):
            networks[ssid] = [_point(ssid, one) for one in value]
        else:
            networks[ssid] = _point(ssid, value)
    encode(networks, 0)
    return networks


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _line(ssid: str, point: AccessPoint) -> str:
    name = _encoded(ssid)
    if ssid != "*" and not 0 < len(name) <= 32:
        raise ValueError(f"wifi: {ssid!r}: an SSID has 1 to 32 bytes, this one {len(name)}")
    key = "" if point.password is None else point.password
    security = point.security
    if security is None:
        security = WPA2 if key else OPEN
    dhcp = -1 if math.isinf(point.dhcp_seconds) else int(point.dhcp_seconds * 1000)
    fields = (
        "*" if ssid == "*" else name.hex(),
        "*" if key == "*" else _encoded(key).hex() or "-",
        point.status or 0,
        point.rssi,
        point.channel,
        security,
        int(point.hidden),
        dhcp,
        point.bssid.replace(":", ""),
    )
    return " ".join(map(str, fields))


def encode(networks: Networks | None, join_seconds: float) -> str:
    """The file `air` of a board's folder, which the chip's `network` reads.

    First the milliseconds of joining, of finding nobody, and until a lost access point is missed:
    in the chip's proportion, so that a test with a fast radio keeps their order. Then one line an
    access point, the strongest first. Raises ValueError for an SSID that cannot be.
    """
    pace = join_seconds * 1000 / JOIN_SECONDS
    times = (JOIN_SECONDS, ABSENT_SECONDS, BEACON_SECONDS)
    points: list[tuple[str, AccessPoint]] = []
    for ssid, said in ({"*": "*"} if networks is None else networks).items():
        if isinstance(said, AccessPoint):
            points.append((ssid, said))
        elif isinstance(said, int):
            points.append((ssid, AccessPoint(status=said)))
        elif said is None or isinstance(said, str):
            points.append((ssid, AccessPoint(said)))
        else:
            points += [(ssid, point) for point in said]
    points.sort(key=lambda entry: -entry[1].rssi)
    first = " ".join(str(round(seconds * pace)) for seconds in times)
    return "\n".join([first, *(_line(ssid, point) for ssid, point in points)])
