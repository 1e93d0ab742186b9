"""One HTML page for who answers for the line: what is done, what is not, and why."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence

from tools.provision.log import Entry, standing
from tools.provision.units import Unit

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;
color:#1b1f24;background:#fff}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.when{color:#57606a;margin:.2rem 0 1.2rem}
.sums{display:flex;gap:1rem;flex-wrap:wrap}
.sums div{border:1px solid #d0d7de;border-radius:6px;padding:.6rem 1rem;min-width:7rem}
.sums b{display:block;font-size:1.6rem}
.done b{color:#1a7f37}.failed b{color:#cf222e}.open b{color:#9a6700}
.bar{height:.6rem;border-radius:.3rem;background:#eaeef2;margin:1rem 0;display:flex;
overflow:hidden}
.bar i{display:block;background:#1a7f37}.bar i+i{background:#cf222e}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #eaeef2;vertical-align:top}
th{color:#57606a;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}
td.bad{color:#cf222e}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}
.sums div,th,td{border-color:#30363d}.bar{background:#30363d}}
@media print{body{margin:0}}
"""


def _cells(*values: object) -> str:
    return "".join(f"<td>{html.escape(str(value))}</td>" for value in values)


def _mac(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _per_hour(done: Sequence[Entry]) -> str:
    """From the first unit's end to the last one's."""
    if len(done) < 2:
        return "-"
    times = sorted(
        time.mktime(time.strptime(entry.time[:19], "%Y-%m-%dT%H:%M:%S")) for entry in done
    )
    span = times[-1] - times[0]
    return f"{(len(done) - 1) / span * 3600:.0f}" if span else "-"


def report(title: str, units: Sequence[Unit], entries: Sequence[Entry]) -> str:
    """The page, complete in itself. Nothing in it comes from a secret column.

    title: such as the CSV's name. entries: of the log.
    """
    now = standing(list(entries))
    done = sorted(now.done.values(), key=lambda entry: (entry.unit, entry.time))
    finished = {entry.unit for entry in done}
    open_units = [unit for unit in units if unit.number not in finished]
    failed_units = {entry.unit for entry in now.failed if entry.unit}
    untouched = [unit for unit in open_units if unit.number not in failed_units]
    total = len(units)
    share = [100 * len(finished) / total, 100 * len(now.failed) / total] if total else [0, 0]
    seconds = sum(entry.seconds for entry in done) / len(done) if done else 0
    sums = (
        f'<div class="done"><b>{len(finished)}</b>of {total} units done</div>'
        f'<div class="failed"><b>{len(now.failed)}</b>boards failed</div>'
        f'<div class="open"><b>{len(open_units)}</b>units to do</div>'
        f"<div><b>{seconds:.0f} s</b>a unit</div>"
        f"<div><b>{_per_hour(done)}</b>units an hour</div>"
    )
    failures = [
        _cells(_mac(entry.mac) or "-", entry.name or "-", entry.port)
        + f'<td class="bad">{html.escape(_reason(entry))}</td>'
        + _cells(entry.time)
        for entry in now.failed
    ]
    finals = [
        _cells(entry.unit, entry.name, _mac(entry.mac))
        + f'<td class="n">{entry.seconds:.1f}</td>'
        + _cells(entry.firmware, entry.package, entry.time)
        for entry in done
    ]
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="when">As of {time.strftime("%Y-%m-%d %H:%M")}</p>',
        f'<div class="sums">{sums}</div>',
        f'<div class="bar"><i style="width:{share[0]:.2f}%"></i>'
        f'<i style="width:{share[1]:.2f}%"></i></div>',
        "<h2>Failed</h2>",
        _table(("MAC", "unit", "port", "reason", "when"), failures)
        if failures
        else "<p>None.</p>",
        "<h2>Not begun</h2>",
        _table(
            ("unit", "name", "line of the CSV"),
            [_cells(u.number, u.name, u.line) for u in untouched],
        )
        if untouched
        else "<p>None.</p>",
        "<h2>Done</h2>",
        _table(("unit", "name", "MAC", "seconds", "firmware", "package", "when"), finals)
        if finals
        else "<p>None.</p>",
        "</html>",
    ]
    return "\n".join(parts)


def _reason(entry: Entry) -> str:
    return entry.reason if entry.status == "failed" else "interrupted: begun and never finished"
