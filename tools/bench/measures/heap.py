"""Heap: the least on which a flow gets through, and what stays on it.

Least heap of a flow: the smallest value of `-X heapsize=NwK`, on a grid of 0.25, at which the
flow gets through at the first try and at the three grid points above as well (where the heap is
barely enough, luck with its holes decides). N counts kibibytes of a 32-bit chip: the interpreter
used here has words of 64 bits and is given twice as many bytes. References and objects double
with the word, bytecode and texts do not, so on a chip the need lies between N and 2 N kB; Mbed
TLS's own memory is not on this heap.

From it the heap in use of the board at rest is subtracted: the same simulated board, the flash
mounted, Wi-Fi joined by a bare boot.py, garbage collected. What is left is all that boot.py,
main.py, the package, umqtt.simple and the flow need at their worst instant, and the holes between
it. The same is subtracted for the peers. `umqtt.simple` is read from the simulator's ROM, where
it takes a little more heap than frozen into a chip's firmware; it is in every figure alike, and
given by itself.

"Frozen": the package is in the simulator's ROM as well, as `firmware/manifest.py` puts it into a
chip's firmware: its code is run in place. A chip's frozen names take no heap either; here they do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tools.bench.flow import BOOT_SECONDS, Flow
from tools.bench.measures.floors import CODE, NAMES, TOGETHER, heap_parts
from tools.bench.modules import import_order
from tools.bench.peers.micropython_lib import HMAC, pypi_modules
from tools.bench.place import DEVICE, Place, script_text
from tools.bench.results import Picture, Section, Table, number
from tools.charts import bars, lines

STEP = 0.25
ABOVE = 3
MOST = 256.0
WORD = 2
"""The interpreter's word in words of the chip."""


def least(passes: Callable[[float], bool], low: float = 4.0, high: float = 64.0) -> float:
    """The least heap at which `passes` holds, and holds `ABOVE` steps further on.

    low: known to be too little. high: a first guess. Raises RuntimeError at `MOST`.
    """
    known: dict[int, bool] = {}

    def holds(step: int) -> bool:
        if step not in known:
            known[step] = passes(step * STEP)
        return known[step]

    at, too_little = int(high / STEP), int(low / STEP)
    while not holds(at):
        too_little = at
        at *= 2
        if at * STEP > MOST:
            raise RuntimeError(f"does not get through on {MOST} wK")
    while at - too_little > 1:
        middle = (at + too_little) // 2
        if holds(middle):
            at = middle
        else:
            too_little = middle
    while not all(holds(at + more) for more in range(ABOVE + 1)):
        at += 1
    return at * STEP


@dataclass(frozen=True)
class Stage:
    """A point of a first boot: bytes of a 32-bit chip on the heap, garbage collected."""

    name: str
    heap: float


@dataclass(frozen=True)
class ModuleHeap:
    """Bytes of a 32-bit chip that importing a module takes, and that its unloading leaves."""

    name: str
    loaded: float
    left: float


def least_of(flow: Flow, rest: float) -> float:
    """Least heap of a flow, wK, above what the board at rest has in use."""
    return least(flow.passes, rest) - rest


def in_use(place: Place, main: str = "") -> float:
    """Heap in use, wK, of the board at rest, after the code `main` too."""
    text = f"{main}\nimport gc\ngc.collect()\nprint('in use', gc.mem_alloc())"
    result = place.board(place.bare_image(None, main=text)).boot(r"in use \d+\n", BOOT_SECONDS)
    if result.ending != "until":
        raise RuntimeError(f"board at rest: {result.ending}: {result.output}")
    return int(result.output.split()[2]) / WORD / 1024


def naive_pypi(place: Place) -> Flow:
    """The naive first boot with micropython-lib's HMAC from PyPI in place of eight lines."""
    files = pypi_modules(*HMAC)
    return place.naive_first_boot(signing="signing_pypi.py", files=files)


def stages(place: Place, optimise: int) -> list[Stage]:
    """What is on the heap at each point of a first boot, above the board at rest."""
    image = place.image(main=script_text(DEVICE / "stages.py"), optimise=optimise)
    result = place.board(image).boot(r"\nend of stages\n", BOOT_SECONDS)
    told = [line.split(" ", 2) for line in result.output.splitlines() if line.startswith("stage ")]
    if result.ending != "until":
        raise RuntimeError(f"stages: {result.ending}: {result.output}")
    base = in_use(place) * 1024
    return [Stage(name, int(heap) / WORD - base) for _, heap, name in told]


def module_heaps(place: Place, optimise: int) -> list[ModuleHeap]:
    """Each module's own heap, those that it needs being loaded already."""
    given = json.dumps(import_order())
    image = place.image(
        main=script_text(DEVICE / "modules.py"),
        optimise=optimise,
        files={"/modules.json": given},
        boot=None,
        gateway=True,
    )
    result = place.board(image).boot(r"\nend of modules\n", BOOT_SECONDS)
    if result.ending != "until":
        raise RuntimeError(f"modules: {result.ending}: {result.output}")
    found = []
    for line in result.output.splitlines():
        if line.startswith("module "):
            _, name, loaded, left = line.split()
            found.append(ModuleHeap(name, int(loaded) / WORD, int(left) / WORD))
    return found


def _flows(place: Place) -> list[tuple[str, str, Flow]]:
    """(figure, row, flow) of each flow of the package whose least heap is searched."""
    return [
        ("heap.first", "first boot", place.first_boot()),
        ("heap.later", "later boot", place.later_boot()),
        ("heap.first.O3", "first boot, -O3", place.first_boot(3)),
        ("heap.later.O3", "later boot, -O3", place.later_boot(3)),
        ("heap.first.frozen", "first boot, frozen", place.first_boot(frozen=True)),
        ("heap.later.frozen", "later boot, frozen", place.later_boot(frozen=True)),
        ("heap.mqtt", "first boot, registration over MQTT", place.first_boot(0, "mqtt")),
    ]


def _peers(place: Place) -> list[tuple[str, str, Flow]]:
    return [
        ("heap.naive.first", "naive script, first boot", place.naive_first_boot()),
        ("heap.naive.later", "naive script, later boot", place.naive_later_boot()),
        ("heap.naive.pypi", "naive script with micropython-hmac, first boot", naive_pypi(place)),
    ]


def gateways(place: Place, rest: float, quick: bool) -> dict[int, float]:
    """Number of sub-devices -> least heap of a gateway that brings them online, wK.

    The board at rest included: what counts is all that is in use at the worst instant. Up to 100
    it is searched. With 2,000 each run takes long: from there up in steps of 1 wK.
    """
    counts = (1, 10) if quick else (1, 10, 30, 100)
    found = {count: least(place.gateway(count).passes, rest) for count in counts}
    if not quick:
        flow, heap = place.gateway(2000), found[100]
        while not flow.passes(heap):
            heap += 1
            if heap > MOST:
                raise RuntimeError(f"{flow.name}: does not get through on {MOST} wK")
        found[2000] = heap
    return found


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    rest = in_use(place)
    part = Section("Heap", __doc__ or "")
    rows = []
    for figure, row, flow in [*_flows(place), *_peers(place)]:
        part.figures[figure] = value = least_of(flow, rest)
        rows.append((row, f"{value:.2f}"))
    part.tables.append(Table("Least heap above the board at rest", ("flow", "wK"), rows))
    umqtt = in_use(place, "import umqtt.simple") - rest
    part.notes.append(
        f"The board at rest has {rest:.2f} wK in use. umqtt.simple by itself takes {umqtt:.2f} wK."
    )
    found = gateways(place, rest, quick)
    part.figures["heap.gateway"] = max(found[count] for count in found if count <= 30)
    if 2000 in found:
        part.figures["heap.gateway.2000"] = found[2000]
    part.tables.append(
        Table(
            "Least heap of a blank gateway that brings sub-devices online, at rest included",
            ("sub-devices", "wK"),
            [(number(count), f"{heap:.2f}") for count, heap in found.items()],
        )
    )
    held = stages(place, 0)
    part.figures["heap.connected"] = next(s.heap for s in held if s.name == "connected") / 1024
    part.tables.append(
        Table(
            "Heap in use during a first boot (-O0), garbage collected, above the board at rest",
            ("after", "wK"),
            [(stage.name, f"{stage.heap / 1024:.2f}") for stage in held],
        )
    )
    parts = {what: size / WORD / 1024 for what, size in heap_parts(place, rest * WORD * 1024)}
    part.tables.append(
        Table(
            "What the heap of a connected device (-O0) holds, above the board at rest",
            ("what", "wK"),
            [(what, f"{size:.2f}") for what, size in parts.items()],
        )
    )
    part.notes.append(_why(part.figures, parts))
    part.tables.append(
        Table(
            "Heap of each module (-O0), those that it needs being loaded, in bytes of the chip",
            ("module", "loaded", "left after unloading"),
            [
                (module.name, number(module.loaded), number(module.left))
                for module in sorted(module_heaps(place, 0), key=lambda m: -m.loaded)
            ],
        )
    )
    part.notes.append(
        "What unloading leaves are interned names; their table grows in steps, and the module "
        "that happens to need the next step carries all of it."
    )
    part.pictures = _pictures(part.figures, found)
    return part


def _why(figures: dict[str, float], parts: dict[str, float]) -> str:
    return (
        f"What is between the {parts[TOGETHER]:.2f} wK that a connected device holds and the "
        "least heap are the pieces in work at the worst instant, and holes. Where the goals are "
        f"not met, this is why: {parts[CODE]:.2f} wK are the code that a connection needs (the "
        f"rest is unloaded by then), {parts[NAMES]:.2f} wK names, which MicroPython never frees. "
        "Frozen into the firmware, the same code gets "
        f"through a first boot on {figures['heap.first.frozen']:.2f} wK."
    )


def _pictures(figures: dict[str, float], gateways: dict[int, float]) -> list[Picture]:
    us, naive, pypi = "this package", "naive script", "naive, micropython-hmac"
    flows = {
        "first boot": {
            us: figures["heap.first"],
            f"{us}, frozen": figures["heap.first.frozen"],
            naive: figures["heap.naive.first"],
            pypi: figures["heap.naive.pypi"],
        },
        "later boot": {
            us: figures["heap.later"],
            f"{us}, frozen": figures["heap.later.frozen"],
            naive: figures["heap.naive.later"],
        },
    }
    return [
        Picture(
            "benchmark-heap.svg",
            bars("Least heap above the board at rest", "wK", flows),
            "Least heap of a first and a later boot, in kibibytes of a 32-bit chip.",
        ),
        Picture(
            "benchmark-gateway-heap.svg",
            lines(
                "Least heap of a gateway",
                "sub-devices",
                "wK",
                {us: list(gateways.items())},
                log_up=False,
            ),
            "Least heap against the number of sub-devices: a level line does not grow with it.",
        ),
    ]
