"""Flash: bytes of compiled code, and what each boot does to the block device.

Code: the .mpy files as mpy-cross makes them, -O0 with line numbers (what `make image` builds) and
-O3 without; file system overhead is not counted. "Direct device" is everything that boot.py and
`aliyun_iot.device` can ever import; "gateway" is what `aliyun_iot.gateway` needs beside that.

Writes: programs and erases of the littlefs2 block device of 4,096-byte blocks during one power
cycle, as the simulated board counts them, registration and first property post included.
"""

from __future__ import annotations

from tools.bench.floors import flash_parts
from tools.bench.modules import direct, gateway
from tools.bench.place import OPTIMISE, Flow, Place
from tools.bench.results import Section, Table, number
from tools.board import FlashUse
from tools.image import compile_source
from tools.layout import PACKAGE


def sizes(optimise: int) -> dict[str, int]:
    """Module -> bytes of its .mpy."""
    return {
        path.stem: len(compile_source(path.read_bytes(), path.name, optimise))
        for path in sorted(PACKAGE.glob("*.py"))
    }


def totals(optimise: int) -> dict[str, int]:
    """Bytes of .mpy: of a direct device, and of everything."""
    found = sizes(optimise)
    return {
        "direct": found["__init__"] + sum(found[name] for name in direct()),
        "all": sum(found.values()),
    }


def _direct_sizes() -> list[tuple[int, dict[str, int]]]:
    return [(totals(optimise)["direct"], sizes(optimise)) for optimise in OPTIMISE]


def uses(place: Place, quick: bool) -> dict[str, FlashUse]:
    """Flow -> what it did to the flash."""
    base, more = (1, 2) if quick else (30, 31)
    found = {
        "first boot": _run(place.first_boot()),
        "later boot": _run(place.later_boot()),
    }
    few, many = _run(place.gateway(base)), _run(place.gateway(more))
    found["one sub-device more"] = FlashUse(
        many.programs - few.programs,
        many.erases - few.erases,
        bytes_programmed=many.bytes_programmed - few.bytes_programmed,
    )
    return found


def _run(flow: Flow) -> FlashUse:
    return flow.checked().flash


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Flash", __doc__ or "")
    plain, least = sizes(0), sizes(3)
    needed = set(direct())
    rows = [
        (name, "gateway" if name in gateway() else "direct", number(plain[name]), number(size))
        for name, size in sorted(least.items(), key=lambda item: -item[1])
    ]
    assert needed <= set(plain)
    for what in ("direct", "all"):
        part.figures[f"flash.{what}"] = totals(0)[what]
        part.figures[f"flash.{what}.O3"] = totals(3)[what]
        label = "direct device together" if what == "direct" else "everything together"
        rows.append((label, "", number(totals(0)[what]), number(totals(3)[what])))
    without = [size - found["registration_mqtt"] for size, found in _direct_sizes()]
    label = "direct device without registration over MQTT"
    rows.append((label, "", number(without[0]), number(without[1])))
    part.tables.append(Table("Bytes of .mpy", ("module", "needed by", "-O0", "-O3"), rows))
    parts = {optimise: flash_parts(optimise) for optimise in OPTIMISE}
    part.tables.append(
        Table(
            "What the .mpy of a direct device are made of, bytes",
            ("what", *(f"-O{optimise}" for optimise in parts)),
            [
                (what, *(number(found[what]) for found in parts.values()))
                for what in ("code", "names", "texts")
            ],
        )
    )
    part.notes.append(
        "Without a single name and without the text of any error it would be "
        f"{parts[3]['code']:,} bytes at -O3: where that is over the goal, only doing less would "
        "meet it."
    )
    found = uses(place, quick)
    part.figures["flash.writes.first"] = found["first boot"].programs + found["first boot"].erases
    part.figures["flash.writes.later"] = found["later boot"].programs + found["later boot"].erases
    part.tables.append(
        Table(
            "The block device during one power cycle",
            ("flow", "programs", "erases", "bytes programmed"),
            [
                (
                    name,
                    number(use.programs),
                    number(use.erases),
                    number(use.bytes_programmed),
                )
                for name, use in found.items()
            ],
        )
    )
    return part
