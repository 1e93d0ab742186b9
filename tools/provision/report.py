"""One HTML page for whoever runs the line: what is done, what is not, and why."""

from __future__ import annotations

import html
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from tools.command import count
from tools.provision.log import Entry, standing
from tools.provision.pace import per_hour
from tools.provision.units import Unit

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#ffffff;--grey:#57606a;--good:#1a7f37;
--bad:#cf222e;--open:#8a5d00;--line:#d0d7de;--rest:#eaeef2}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.when{color:var(--grey);margin:.2rem 0 1.2rem}
.sums{display:flex;gap:1rem;flex-wrap:wrap}
.sums div{border:1px solid var(--line);border-radius:6px;padding:.6rem 1rem;min-width:7rem}
.sums b{display:block;font-size:1.6rem}
.done b{color:var(--good)}.failed b{color:var(--bad)}.open b{color:var(--open)}
.bar{height:.6rem;border-radius:.3rem;background:var(--rest);margin:1rem 0;display:flex;
overflow:hidden}
.bar i{display:block;background:var(--good)}.bar i+i{background:var(--bad)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--rest);vertical-align:top}
th{color:var(--grey);font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums}
td,th{white-space:nowrap}td.bad{color:var(--bad);white-space:normal;min-width:14rem}
.wide{overflow-x:auto}summary{cursor:pointer;color:var(--grey)}
@media print{body{margin:0}}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--grey:#9198a1;
--good:#3fb950;--bad:#ff7b72;--open:#d29922;--line:#30363d;--rest:#30363d}}
"""


_NUMBERS = ("seconds", "boards")
_FOLDED = 60
"""Rows that a table may have before it is folded."""


def _cells(*values: object) -> str:
    return "".join(f"<td>{html.escape(str(value))}</td>" for value in values)


def _mac(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    """A table; a long one is folded, so that what follows is found."""
    if not rows:
        return "<p>None.</p>"
    head = "".join(
        f'<th class="n">{text}</th>' if text in _NUMBERS else f"<th>{html.escape(text)}</th>"
        for text in heads
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
    if len(rows) <= _FOLDED:
        return table
    return f"<details><summary>{len(rows):,} rows</summary>{table}</details>"


def _when(entry: Entry) -> str:
    return entry.time[:19].replace("T", " ")


def _reasons(failed: Sequence[Entry]) -> str:
    """What went wrong how often, where there is more than a glance takes in."""
    if len(failed) <= _FOLDED:
        return ""
    counted = Counter(map(_reason, failed)).most_common(10)
    rows = [
        f'<td class="n">{n:,}</td><td class="bad">{html.escape(why)}</td>' for why, n in counted
    ]
    return _table(("boards", "reason"), rows)


def _span(entry: Entry) -> tuple[float, float]:
    """When a board was worked on, as Unix time."""
    try:
        end = datetime.strptime(entry.time, "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return 0.0, entry.seconds
    return end - entry.seconds, end


def report(title: str, units: Sequence[Unit], entries: Sequence[Entry]) -> str:
    """The page, complete in itself. Nothing in it comes from a secret column.

    title: such as the CSV's name. entries: of the log.
    """
    now = standing(entries)
    listed = {unit.name for unit in units}
    done = sorted(now.done.values(), key=lambda entry: (entry.unit, entry.time))
    finished = listed & set(now.finished)
    open_units = [unit for unit in units if unit.name not in finished]
    failed_units = {now.unit(entry) for entry in now.failed if entry.unit} & listed - finished
    untouched = [unit for unit in open_units if unit.name not in failed_units]
    total = max(1, len(units))
    share = [100 * len(finished) / total, 100 * len(failed_units) / total]
    seconds = sum(entry.seconds for entry in done) / len(done) if done else 0
    spans = [_span(entry) for entry in entries if entry.status != "started"]
    sums = (
        f'<div class="done"><b>{len(finished):,}</b>of {count(len(units), "unit")} done</div>'
        f'<div class="failed"><b>{len(now.failed):,}</b>'
        f"{'board' if len(now.failed) == 1 else 'boards'} failed</div>"
        f'<div class="open"><b>{len(open_units):,}</b>'
        f"{'unit' if len(open_units) == 1 else 'units'} to do</div>"
        f"<div><b>{seconds:.1f} s</b>a unit</div>"
        f"<div><b>{per_hour(len(done), spans)}</b>units an hour of work</div>"
    )
    failures = [
        _cells(_mac(entry.mac) or "-", entry.name or "-", entry.port)
        + f'<td class="bad">{html.escape(_reason(entry))}</td>'
        + _cells(_when(entry))
        for entry in now.failed
    ]
    finals = [
        _cells(entry.unit, entry.name, _mac(entry.mac))
        + f'<td class="n">{entry.seconds:.1f}</td>'
        + _cells(entry.firmware, entry.package, _when(entry))
        for entry in done
    ]
    waiting = [_cells(unit.number, unit.name, unit.line) for unit in untouched]
    bar = f"{len(finished):,} done, {len(failed_units):,} failed, {len(untouched):,} not begun"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="when">As of {time.strftime("%Y-%m-%d %H:%M")}</p>',
        f'<div class="sums">{sums}</div>',
        f'<div class="bar" role="img" aria-label="{bar}"><i style="width:{share[0]:.2f}%"></i>'
        f'<i style="width:{share[1]:.2f}%"></i></div>',
        f"<h2>Failed: {len(failures):,}</h2>",
        _reasons(now.failed),
        _table(("MAC", "unit", "port", "reason", "when"), failures),
        f"<h2>Not begun: {len(waiting):,}</h2>",
        _table(("unit", "name", "line of the CSV"), waiting),
        f"<h2>Done: {len(finals):,}</h2>",
        _table(("unit", "name", "MAC", "seconds", "firmware", "package", "when"), finals),
        "</html>",
    ]
    return "\n".join(part for part in parts if part)


def _reason(entry: Entry) -> str:
    return entry.reason if entry.status == "failed" else "interrupted: begun and never finished"
