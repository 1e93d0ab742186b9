"""The report page and the pace: they count the units of the list, and the time of work."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from tools.provision import ResultLog, Unit
from tools.provision.assign import Assignment
from tools.provision.log import Entry, Status
from tools.provision.pace import busy_seconds, per_hour
from tools.provision.report import report
from tools.provision.run import Line
from tools.provision.work import Job, Outcome


def units(count: int) -> list[Unit]:
    return [Unit(n, n + 1, "a1", f"SN-{n:05}", f"secret{n}", "", "") for n in range(1, count + 1)]


def entry(status: Status, number: int, at: float, seconds: float = 10.0, unit: int = -1) -> Entry:
    when = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(at))
    name = f"SN-{number:05}" if unit else ""
    return Entry(
        when,
        status,
        f"246f28{number:06x}",
        "/dev/a",
        number if unit else 0,
        name,
        "",
        seconds,
    )


def life(number: int, at: float, seconds: float = 10.0) -> list[Entry]:
    return [entry("started", number, at - seconds), entry("done", number, at, seconds)]


def bars(page: str) -> list[float]:
    return [float(width) for width in re.findall(r'<i style="width:([\d.]+)%"', page)]


def test_the_bar_counts_units_and_not_boards_of_elsewhere() -> None:
    entries = [*life(1, 1000), entry("started", 2, 1010), entry("failed", 2, 1020)]
    entries += [entry("failed", 100 + n, 1030 + n, unit=0) for n in range(8)]
    page = report("Run", units(4), entries)
    assert bars(page) == [25.0, 25.0]
    assert "<b>9</b>boards failed" in page
    assert "<b>3</b>units to do" in page


def test_a_unit_that_failed_and_was_done_after_all_is_no_failure() -> None:
    entries = [entry("started", 1, 990), entry("failed", 1, 1000), *life(1, 1100)]
    page = report("Run", units(1), entries)
    assert bars(page) == [100.0, 0.0]
    assert "<b>1</b>of 1 unit done" in page and "<b>0</b>boards failed" in page


def test_units_an_hour_leave_the_night_out() -> None:
    """Two units of 10 s in the evening, two in the morning: 40 s of work, 360 an hour."""
    evening, morning = 100_000.0, 150_000.0
    entries = [
        e
        for n, at in enumerate((evening, evening + 10, morning, morning + 10), 1)
        for e in life(n, at)
    ]
    assert "<b>360</b>units an hour of work" in report("Run", units(4), entries)


def test_ports_at_work_at_the_same_time_count_once() -> None:
    assert busy_seconds([(0, 10), (2, 8), (5, 12), (20, 21)]) == 13
    assert per_hour(4, [(0, 10)] * 4) == "1440"
    assert per_hour(0, [(0, 10)]) == per_hour(1, []) == "-"


def test_ten_thousand_units_make_a_page_of_sensible_size(tmp_path: Path) -> None:
    entries = [e for n in range(1, 5001) for e in life(n, 100_000 + 10 * n)]
    page = report("Run", units(10_000), entries)
    assert "<b>5,000</b>of 10,000 units done" in page
    assert bars(page) == [50.0, 0.0]
    assert page.count("<tr>") == 5000 + 5000 + 2
    assert len(page) < 3_000_000


@pytest.mark.parametrize("ports", [1, 8])
@pytest.mark.parametrize(
    ("name", "step"), [("SN-00001", "the board holds another"), ("x" * 32, "the board")]
)
def test_the_progress_table_fits_a_terminal_of_80_columns(
    tmp_path: Path, ports: int, name: str, step: str
) -> None:
    names = [f"/dev/ttyUSB{number}" for number in range(ports)]
    console = Console(width=80, record=True, file=io.StringIO(), force_terminal=True)
    listed = units(10_000)
    with ResultLog(tmp_path / "log") as log:
        assignment = Assignment(listed, log, unique=True)
        line = Line(names, Job({}, True), assignment, log, console)
        for port in names:
            line.tally.outcomes.append(Outcome(port, "", "", "done", span=(0, 40)))
            at = line._rows[port]
            at.mac, at.name, at.progress = "246f28aabb00", name, 0.5
            at.step = "the board holds another identity (/device.json); --replace overwrites it"
        console.print(line._table())
    title, head, *rows = console.export_text().splitlines()
    assert title.strip() == (
        f"{ports} done, 0 done before, 0 failed, 10,000 to do; {90 * ports} an hour"
    )
    assert head.split() == ["port", "MAC", "unit", "step"]
    assert len(rows) == ports
    for port, row in zip(names, rows, strict=True):
        assert Path(port).name in row and "━━━━╌╌╌╌" in row and step in row
        assert len(row) <= 80


def test_a_pace_that_is_not_known_yet_is_left_out(tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO(), force_terminal=True)
    with ResultLog(tmp_path / "log") as log:
        assignment = Assignment(units(1), log, unique=True)
        console.print(Line(["/dev/a"], Job({}, True), assignment, log, console)._table())
    title = console.export_text().splitlines()[0]
    assert title.strip() == "0 done, 0 done before, 0 failed, 1 to do"


def contrast(one: str, other: str) -> float:
    """Of two colours such as "#57606a", as WCAG 2.2 has it."""
    light = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_the_page_can_be_read_in_the_light_and_in_the_dark() -> None:
    light, _, dark = report("Run", units(1), []).partition("@media (prefers-color-scheme:dark)")
    assert not re.search(r"(?<![-\w])color:#", light), "colours have names, which the dark changes"
    for style in (light, dark):
        named = dict(re.findall(r"--(\w+):(#\w{6})", style))
        ground = named.pop("paper")
        assert {"ink", "grey", "good", "bad", "open"} <= set(named)
        for name in ("ink", "grey", "good", "bad", "open"):
            assert contrast(named[name], ground) >= 4.5, name


def test_the_bar_can_be_told_without_colour() -> None:
    page = report("Run", units(4), life(1, 1000))
    assert 'role="img" aria-label="1 done, 0 failed, 3 not begun"' in page


def test_no_secret_is_on_the_page(tmp_path: Path) -> None:
    with ResultLog(tmp_path / "log") as log:
        log.add("started", "246f28000001", "a", unit=1, name="SN-00001")
        page = report("Run", units(1), log.entries)
    assert "secret1" not in page
