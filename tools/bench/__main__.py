"""Measure the package and its peers: `python -m tools.bench`, or a part of it with --only."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from tools.bench import page
from tools.bench.measures import application, flash, heap, load, scale, sessions, timing, wire
from tools.bench.place import Place
from tools.bench.results import Section, Table
from tools.layout import ROOT

PARTS: dict[str, Callable[[Place, bool], Section]] = {
    "heap": heap.section,
    "flash": flash.section,
    "wire": wire.section,
    "time": timing.section,
    "messages": sessions.section,
    "application": application.section,
    "scale": scale.section,
    "load": load.section,
}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aliyun-iot bench",
        description="Measure memory, flash, wire, time, scale and load beside the peers, and "
        "write docs/benchmark.md with its pictures.",
        epilog="With --only or --quick the result is only shown, unless --output names a folder.",
    )
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="one part; repeat")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs, to try it")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: docs")
    return parser


def _show(console: Console, table: Table) -> None:
    shown = RichTable(*table.columns, title=table.caption, title_justify="left", box=None)
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)


def main() -> int:
    """The command. Returns the exit status: 1 where a budget does not hold."""
    arguments = _arguments().parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    started = time.monotonic()
    sections = []
    for name in arguments.only or PARTS:
        began = time.monotonic()
        with (
            console.status(f"measuring: {name} ..."),
            tempfile.TemporaryDirectory() as boards,
            Place(Path(boards)) as place,
        ):
            section = PARTS[name](place, arguments.quick)
        sections.append(section)
        console.rule(f"{section.title} ({time.monotonic() - began:.0f} s)", align="left")
        for table in section.tables:
            _show(console, table)
        for note in section.notes:
            console.print(note, soft_wrap=True)
    console.rule("Budgets", align="left")
    _show(console, page.budgets(sections))
    folder = arguments.output
    if folder is None and not (arguments.only or arguments.quick):
        folder = ROOT / "docs"
    if folder is not None:
        path = page.write(folder, sections, time.monotonic() - started)
        console.print(f"written: {path}")
    over = page.broken(sections)
    for name in over:
        console.print(f"over its limit: {name}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
