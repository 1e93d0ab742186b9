"""Flash: bytes of compiled code, and what each boot does to the block device.

Code: the .mpy files as mpy-cross makes them, -O0 with line numbers (what `make image` builds) and
-O3 without; file system overhead is not counted. "Direct device" is everything that boot.py and
`aliyun_iot.device` can load but registration over MQTT and `aliyun_iot.moving`; "gateway" is what
`aliyun_iot.gateway` needs beside that; "everything" leaves out `moving`, which has its own limit.

Block device: operations on the littlefs2 partition with its 4,096-byte blocks during one power
cycle, up to the first property post, as the simulated board counts them. Reads are what a chip
pays for: each stops both cores and switches the cache off. Most of them are look-ups: each goes
down from `/` and reads each folder's log on its way from end to end. So a boot's reads grow as
the log of `/` does, until littlefs writes it anew; "aged" is the worst of a board whose
device.json was replaced 1 to 50 times.
"""

from __future__ import annotations

from collections.abc import Iterable

from tools.bench.flow import BOOT_SECONDS, Flow
from tools.bench.measures.floors import flash_parts
from tools.bench.modules import GATEWAY, direct, gateway, moving, sources
from tools.bench.place import OPTIMISE, PRODUCT_KEY, Place
from tools.bench.results import Section, Table, number
from tools.board import FlashUse
from tools.image import compile_source


def sizes(optimise: int) -> dict[str, int]:
    """Module -> bytes of its .mpy."""
    return {
        name: len(compile_source(path.read_bytes(), path.name, optimise))
        for name, path in sources().items()
    }


def totals(optimise: int) -> dict[str, int]:
    """Bytes of .mpy: of a direct device, of what is loaded on demand, and of the rest together."""
    found = sizes(optimise)
    moved = sum(found[name] for name in moving())
    return {
        "direct": sum(found[name] for name in direct()),
        "gateway": sum(size for name, size in found.items() if name.split(".")[0] == GATEWAY),
        "moving": moved,
        "all": sum(found.values()) - moved,
    }


def uses(place: Place, quick: bool) -> dict[str, FlashUse]:
    """Flow -> what it did to the flash."""
    base, more = (1, 2) if quick else (30, 31)
    found = {
        "first boot": _run(place.first_boot()),
        "later boot": _run(place.later_boot()),
        "later boot, aged": aged(place, range(1, 51, 7 if quick else 1)),
        "naive script, first boot": _run(place.naive_first_boot()),
        "naive script, later boot": _run(place.naive_later_boot()),
    }
    few, many = _run(place.gateway(base)), _run(place.gateway(more))
    found["one sub-device more"] = FlashUse(
        many.programs - few.programs,
        many.erases - few.erases,
        many.reads - few.reads,
        many.bytes_read - few.bytes_read,
        many.bytes_programmed - few.bytes_programmed,
    )
    return found


def aged(place: Place, replaced: Iterable[int]) -> FlashUse:
    """The later boot with the most reads, of boards whose device.json was replaced so often."""
    flow = place.later_boot()
    board = flow.board()
    worst, done = FlashUse(), 0
    for count in sorted(replaced):
        with board.power_on() as session:
            session.wait(flow.done, BOOT_SECONDS)
            session.send("\x03")
            session.repl("from aliyun_iot import records")
            session.repl("record, _ = records.load('/device.json', lambda record: None)")
            session.repl(f"for _ in range({count - done}): records.save('/device.json', record)\r")
        done = count
        use = board.boot(flow.done, BOOT_SECONDS).flash
        worst = max(worst, use, key=lambda use: use.reads)
    return worst


def reconnect(place: Place) -> int:
    """Reads between the loss of a connection and the first message of the next."""
    flow = place.later_boot()
    board = flow.board()
    board.hurry = 1000
    with board.power_on() as session:
        session.wait(flow.done, BOOT_SECONDS)
        before, said = session.flash.reads, len(session.output)
        place.platform.disconnect(PRODUCT_KEY, board.mac)
        if session.wait(flow.done, BOOT_SECONDS, said) != "until":
            raise RuntimeError(f"no reconnect: {session.output}")
        return session.flash.reads - before


def _run(flow: Flow) -> FlashUse:
    return flow.checked().flash


def _needed_by(name: str) -> str:
    return "gateway" if name in gateway() else "moving" if name in moving() else "direct"


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Flash", __doc__ or "")
    plain, least = sizes(0), sizes(3)
    needed = set(direct())
    rows = [
        (name, _needed_by(name), number(plain[name]), number(size))
        for name, size in sorted(least.items(), key=lambda item: -item[1])
    ]
    assert needed <= set(plain)
    part.figures["flash.moving"] = totals(0)["moving"]
    for what in ("direct", "all"):
        part.figures[f"flash.{what}"] = totals(0)[what]
        part.figures[f"flash.{what}.O3"] = totals(3)[what]
        label = "direct device together" if what == "direct" else "everything together"
        rows.append((label, "", number(totals(0)[what]), number(totals(3)[what])))
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
    for name, flow in (
        ("first", "first boot"),
        ("later", "later boot"),
        ("aged", "later boot, aged"),
        ("first.naive", "naive script, first boot"),
        ("later.naive", "naive script, later boot"),
    ):
        part.figures[f"flash.reads.{name}"] = found[flow].reads
        part.figures[f"flash.read.{name}"] = found[flow].bytes_read
    part.figures["flash.reads.reconnect"] = reconnect(place)
    part.figures["flash.writes.first"] = found["first boot"].programs + found["first boot"].erases
    part.figures["flash.writes.later"] = found["later boot"].programs + found["later boot"].erases
    part.tables.append(
        Table(
            "The block device during one power cycle",
            ("flow", "reads", "bytes read", "programs", "erases", "bytes programmed"),
            [
                (
                    name,
                    number(use.reads),
                    number(use.bytes_read),
                    number(use.programs),
                    number(use.erases),
                    number(use.bytes_programmed),
                )
                for name, use in found.items()
            ],
        )
    )
    return part
