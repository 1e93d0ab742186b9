"""Wire: what passes between a board and the platform, counted by a relay before each port.

Up is from the device. Bytes are those of the TCP stream, TLS included, TCP/IP headers not. TLS
records are read off the stream. Segments are those that carry data, counted by the kernel, of at
most 1,440 bytes as the ESP32's lwIP has them. Round trips: one to open each TCP connection, one
for each time that the other end answers after the device spoke. TLS 1.2, one RSA server
certificate of about 1 kB, no session resumption.

Flows end with the CONNACK, except where a post and its answer are named; the connection is cut
then, so no goodbye is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from tools.bench.flow import Flow
from tools.bench.measures.relay import Relay, Total, together
from tools.bench.peers import vendor
from tools.bench.place import Place
from tools.bench.results import Picture, Section, Table, number
from tools.charts import bars

SUBDEVICES = 30
COLUMNS = (
    "flow",
    "who",
    "bytes up",
    "down",
    "records up",
    "down",
    "segments up",
    "down",
    "handshakes",
    "round trips",
)


class Counting:
    """A relay before each port of a place; its boards and peers connect through them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._relays = (Relay(place.register_port), Relay(place.mqtt_port))

    def __enter__(self) -> Counting:
        self._ports = self._place.register_port, self._place.mqtt_port
        for relay in self._relays:
            relay.__enter__()
        self._place.register_port, self._place.mqtt_port = (r.port for r in self._relays)
        return self

    def __exit__(self, *error: object) -> None:
        self._place.register_port, self._place.mqtt_port = self._ports
        for relay in self._relays:
            relay.__exit__(None, None, None)

    def of(self, flow: Flow) -> Total:
        """What passes during one run of a flow. Raises RuntimeError if it does not get through."""
        board = flow.board()
        self._reset()
        with board.power_on() as session:
            ending = session.wait(flow.done, 60)
            total = self._total()
            if ending != "until":
                raise RuntimeError(f"{flow.name}: {ending}: {session.output}")
        return total

    def of_vendor(self, flow: str, post: bool = False, count: int = 0) -> Total:
        """What passes during one run of a flow of the vendor's SDK."""
        self._reset()
        totals: list[Total] = []
        vendor.run(
            self._place,
            flow,
            post=post,
            count=count,
            then=lambda: totals.append(self._total()),
        )
        return totals[0]

    def _reset(self) -> None:
        for relay in self._relays:
            relay.reset()

    def _total(self) -> Total:
        return together([relay.total() for relay in self._relays])


def first_boot(place: Place) -> Total:
    """The package's first boot, to the CONNACK."""
    with Counting(place) as counting:
        return counting.of(place.first_boot(post=False))


def later_boot(place: Place) -> Total:
    """The package's later boot, to the CONNACK."""
    with Counting(place) as counting:
        return counting.of(place.later_boot(post=False))


def _row(flow: str, who: str, total: Total) -> list[str]:
    figures = (
        total.up.bytes,
        total.down.bytes,
        total.up.records,
        total.down.records,
        total.up.segments,
        total.down.segments,
        total.handshakes,
        total.round_trips,
    )
    return [flow, who, *(number(figure) for figure in figures)]


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Wire", __doc__ or "")
    with Counting(place) as counting:
        of, sdk = counting.of, counting.of_vendor
        us, naive, linkkit = "this package", "naive script", "aliyun-iot-linkkit"
        measured: list[tuple[str, str, Callable[[], Total]]] = [
            ("first boot", us, lambda: of(place.first_boot(post=False))),
            ("first boot", naive, lambda: of(place.naive_first_boot(post=False))),
            ("first boot", linkkit, lambda: sdk("first")),
            ("later boot", us, lambda: of(place.later_boot(post=False))),
            ("later boot", naive, lambda: of(place.naive_later_boot(post=False))),
            ("later boot", linkkit, lambda: sdk("later")),
            ("later boot, post, answer", us, lambda: of(place.later_boot())),
            ("later boot, post, answer", naive, lambda: of(place.naive_later_boot())),
            ("later boot, post, answer", linkkit, lambda: sdk("later", True)),
            (
                "first boot, registered over MQTT",
                us,
                lambda: of(place.first_boot(registration="mqtt", post=False)),
            ),
            ("first boot, registered over MQTT", linkkit, lambda: sdk("mqtt")),
        ]
        rows = []
        sent: dict[str, dict[str, float]] = {}
        for flow, who, measure in measured:
            total = measure()
            sent.setdefault(flow, {})[who] = total.up.bytes
            rows.append(_row(flow, who, total))
            kind = {"first boot": "first", "later boot": "later"}.get(flow)
            if kind:
                peer = {us: "", naive: ".naive", linkkit: ".linkkit"}[who]
                part.figures[f"wire.bytes.{kind}{peer}"] = total.up.bytes
                part.figures[f"wire.records.{kind}{peer}"] = total.up.records
                part.figures[f"wire.trips.{kind}{peer}"] = total.round_trips
        part.tables.append(Table("From power-on, or from the first call", COLUMNS, rows))
        part.pictures.append(
            Picture(
                "benchmark-wire.svg",
                bars("Bytes sent", "bytes", sent),
                "Bytes that each flow sends to the platform, TLS included.",
            )
        )
        part.tables.append(_subdevices(place, counting, 2 if quick else SUBDEVICES))
    return part


def _subdevices(place: Place, counting: Counting, count: int) -> Table:
    """What sub-devices cost beyond the gateway's own later boot."""
    ours = _less(counting.of(place.gateway(count)), counting.of(place.first_boot(post=False)))
    theirs = _less(counting.of_vendor("gateway", count=count), counting.of_vendor("later"))
    flow = f"{count} sub-devices registered, added, logged in"
    return Table(
        "Sub-devices, without the gateway's own connection",
        COLUMNS,
        [_row(flow, "this package", ours), _row(flow, "aliyun-iot-linkkit", theirs)],
    )


def _less(total: Total, base: Total) -> Total:
    return Total(
        total.connections - base.connections,
        total.handshakes - base.handshakes,
        total.round_trips - base.round_trips,
        total.up.less(base.up),
        total.down.less(base.down),
    )
