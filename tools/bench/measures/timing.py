"""Time: medians of paired runs on this machine, as ratios.

Each round runs all flows one after another, so that what slows the machine slows all of them; a
ratio is that of the medians over the rounds. A boot is taken from power-on to the answer to its
first property post, less that of the board at rest: interpreter, flash, and Wi-Fi, which a bare
boot.py joins for all of them alike (the shipped one looks ten times a second whether it has
joined; with it the package takes longer by the figure in the note). Absolute times are those of
this machine and its loopback, far from a chip's.

Bare: a MicroPython script that has the same messages ready as bytes: the same verified TLS
handshakes, the same requests, nothing computed, stored or checked. MicroPython's TLS writes a
handshake flight in several pieces, which Nagle's algorithm and delayed acknowledgements stall;
with TCP_NODELAY the script is the floor for anybody. Naive: see "The peers".
Frozen: the package is part of the firmware. What it is quicker by is the loading of modules: the
simulated flash is read by Python code, a chip's by C code.
aliyun-iot-linkkit: CPython and OpenSSL, from its first call to the same answer, imports excluded.

Calls: the best of 5 series, the arguments being those of a registration.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from tools.bench.flow import BOOT_SECONDS, Flow
from tools.bench.measures import messages
from tools.bench.peers import vendor
from tools.bench.peers.micropython_lib import pypi_modules
from tools.bench.place import DEVICE, NAIVE, Place, script_text
from tools.bench.results import Picture, Section, Table, number
from tools.board import Board
from tools.charts import bars

ROUNDS = 15
FLOOR = "bare, TCP_NODELAY"
LINKKIT = "aliyun-iot-linkkit"
OURS = "this package"
FROZEN = "this package, frozen"
_LEAST = 0.005  # seconds: what is shorter cannot be told from the board at rest
SUBDEVICES = 100


def bare(place: Place, register: bool, no_delay: bool) -> Flow:
    """The floor: the same messages from bytes. The registration is another device's, since the
    DeviceSecret that it brings cannot be known beforehand."""

    def board() -> Board:
        mac = place.new_mac()
        registration = messages.registration(place.new_mac(), place.register_port)
        values = {
            "REGISTRATION": registration.hex() if register else "",
            "CONNECT": messages.connect(mac, place.secret_of(mac)).hex(),
            "NO_DELAY": "yes" if no_delay else "",
            "POST": messages.post(mac).hex(),
        }
        image = place.bare_image(
            DEVICE / "bare.py", values, optimise=3, roots=[place.platform.ca_der]
        )
        return place.board(image, mac)

    return Flow("bare", board)


def _seconds(flow: Flow) -> Callable[[], float]:
    return lambda: flow.checked().seconds


def rounds(measures: dict[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """Take all measures, one after another, `count` times: name -> seconds of each round."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(count):
        for name, measure in measures.items():
            taken[name].append(measure())
    return taken


def net(taken: dict[str, list[float]]) -> dict[str, float]:
    """Median seconds of each, less the median of the board at rest where it is a board."""
    rest = median(taken["at rest"])
    return {
        name: median(times) - (0 if name == LINKKIT else rest) for name, times in taken.items()
    }


def boots(place: Place, kind: str, count: int) -> dict[str, list[float]]:
    """Rounds of a first or a later boot of all peers."""
    first = kind == "first"
    make = place.first_boot if first else place.later_boot
    ours, shipped = make(boot=NAIVE / "boot.py"), make()
    frozen = make(frozen=True, boot=NAIVE / "boot.py")
    naive = place.naive_first_boot() if first else place.naive_later_boot()
    return rounds(
        {
            "at rest": _seconds(place.at_rest()),
            OURS: _seconds(ours),
            FROZEN: _seconds(frozen),
            "as shipped": _seconds(shipped),
            "bare": _seconds(bare(place, first, False)),
            FLOOR: _seconds(bare(place, first, True)),
            "naive script": _seconds(naive),
            LINKKIT: lambda: vendor.run(place, kind)["posted"],
        },
        count,
    )


def _boots(place: Place, part: Section, count: int) -> Table:
    rows = []
    drawn: dict[str, dict[str, float]] = {}
    for kind in ("first", "later"):
        taken = boots(place, kind, count)
        times = net(taken)
        drawn[f"{kind} boot"] = {
            who: 1000 * times[who] for who in (OURS, FROZEN, "naive script", "bare", FLOOR)
        }
        longer = (times["as shipped"] - times[OURS]) * 1000
        part.notes.append(f"The shipped boot.py makes a {kind} boot {longer:.0f} ms longer.")
        for name in ("bare", FLOOR, "naive script", LINKKIT):
            short = times[name] < _LEAST
            plain, frozen = (times[who] / max(times[name], _LEAST) for who in (OURS, FROZEN))
            if name.startswith("bare"):
                figure = f"time.{kind}{'.floor' if name == FLOOR else ''}"
                part.figures |= {figure: plain, f"{figure}.frozen": frozen}
            shown = [f"{1000 * times[who]:.0f} ms" for who in (name, OURS, FROZEN)]
            ratios = [f"{'at most ' * short}{value:.2f}" for value in (plain, frozen)]
            rows.append((f"{kind} boot", name, *shown, *ratios))
    part.pictures.append(
        Picture(
            "benchmark-time.svg",
            bars("Time of a boot, less the board at rest", "ms", drawn),
            "Time of a first and a later boot inside MicroPython on this machine.",
        )
    )
    return Table(
        f"Boots, medians of {count} rounds",
        ("flow", "beside", "the other", OURS, "frozen", "ratio", "ratio, frozen"),
        rows,
    )


def _subdevices(place: Place, count: int, times: int) -> Table:
    flow = place.gateway(count)
    ours, theirs = [], []
    for _ in range(times):
        output = flow.checked().output
        ours.append(int(output.rpartition(f"gateway {count} ")[2].split()[0]) / 1000)
        theirs.append(vendor.run(place, "gateway", count=count)["online"])
    value = median(a / b for a, b in zip(ours, theirs, strict=True))
    return Table(
        f"{count} sub-devices registered, stored, added, logged in; medians of {times} rounds",
        ("who", "seconds", "ratio"),
        [
            ("this package, at the pace of the platform's limits", f"{median(ours):.2f}", "1"),
            (
                "aliyun-iot-linkkit, which stores nothing and keeps no limit",
                f"{median(theirs):.2f}",
                f"{value:.1f}",
            ),
        ],
    )


def calls(place: Place, count: int) -> list[tuple[str, float]]:
    """(what, microseconds per call)."""
    main = script_text(DEVICE / "calls.py", {"ROUNDS": count})
    image = place.image(main=main, optimise=3, files=pypi_modules(), boot=None)
    result = place.board(image).boot(r"\nend of calls\n", BOOT_SECONDS * 2)
    if result.ending != "until":
        raise RuntimeError(f"calls: {result.ending}: {result.output}")
    lines = [line.split(" ", 2) for line in result.output.splitlines() if line[:5] == "call "]
    return [(name, float(took)) for _, took, name in lines]


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Time", __doc__ or "")
    part.tables.append(_boots(place, part, 3 if quick else ROUNDS))
    part.tables.append(_subdevices(place, 10 if quick else SUBDEVICES, 1 if quick else 5))
    part.tables.append(
        Table(
            "One call",
            ("what", "microseconds"),
            [(name, number(took)) for name, took in calls(place, 100 if quick else 1000)],
        )
    )
    return part
