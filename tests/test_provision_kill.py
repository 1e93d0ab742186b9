"""A production line is killed, or told to end: nothing is lost, doubled, half-done, left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from serial_boards import PlugIn
from test_provision import package
from test_provision import unique_csv as unique_csv

from tools.command import Terminated
from tools.faults.line_kills import kills
from tools.layout import ROOT
from tools.private import PREFIX, PrivateFolder, sweep
from tools.provision.assign import Assignment
from tools.provision.log import ResultLog
from tools.provision.run import Line
from tools.provision.work import Job


def test_a_line_killed_at_random_moments_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A share of what `make faults` tries."""
    tally = kills(tmp_path, 4, seed=7)
    assert tally.problems == []
    assert tally.tried == 4


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds a private folder, with a secret in it, until it is ended."""
    code = (
        "import time\nfrom tools.private import PrivateFolder, write_private\n"
        "with PrivateFolder() as folder:\n"
        "    write_private(folder / 'secret', b'x')\n"
        "    print(folder, flush=True)\n    time.sleep(60)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holder(tmp_path) as killed, holder(tmp_path) as living:
        assert killed.stdout is not None and living.stdout is not None
        gone, used = (Path(p.stdout.readline().strip()) for p in (killed, living) if p.stdout)
        killed.kill()
        killed.wait()
        assert (gone / "secret").exists(), "nobody could clean up"
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        sweep()
        assert not gone.exists()
        assert (used / "secret").exists()
        living.kill()


finished: list[str] = []
"""The ports whose work came to its end."""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line with two ports whose work takes a moment."""

    def work(self: Line, port: str) -> None:
        time.sleep(0.2)
        finished.append(port)

    finished.clear()
    monkeypatch.setattr(Line, "_work", work)
    # It is for this process's end.
    monkeypatch.setattr("tools.provision.run.abandon", lambda: None)
    with ResultLog(tmp_path / "log.jsonl") as log:
        assignment = Assignment([], log, unique=True)
        yield Line(["one", "two"], Job({}, True), assignment, log, Console())


def as_each_port_begins(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> None:
    """Have something happen in the main thread, right after it began a port's."""

    def start(thread: threading.Thread) -> None:
        begin(thread)
        happen()

    begin = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_signal_while_the_ports_are_begun_waits_for_those_that_are(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that goes on while the log is closed would end in a traceback."""

    def end() -> None:
        raise Terminated(signal.SIGTERM)

    as_each_port_begins(monkeypatch, end)
    with pytest.raises(Terminated):
        line.run()
    assert finished == ["one"]


def test_an_interrupt_finishes_the_units_in_progress_wherever_it_comes(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_come = [signal.SIGINT]

    def interrupt() -> None:
        if to_come:
            signal.raise_signal(to_come.pop())

    as_each_port_begins(monkeypatch, interrupt)
    line.run()
    assert sorted(finished) == ["one", "two"]


def test_a_second_interrupt_ends_at_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    as_each_port_begins(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        line.run()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_private_folder_is_for_this_user_and_goes_when_it_is_closed() -> None:
    with PrivateFolder() as folder:
        assert folder.name.startswith(PREFIX)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_run_in_order(
    plug_in: PlugIn, unique_csv: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGINT finishes the board in progress; the others end at once and clean up all the same."""
    board = plug_in(package())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = [sys.executable, "-m", "tools.provision", str(unique_csv), "--port", board.port]
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # `nohup`, or a job in the background, would hand on that it is ignored.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not list(temporary.glob(f"{PREFIX}*/1")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert not list(temporary.glob(f"{PREFIX}*"))
    if number == signal.SIGINT:
        assert process.returncode == 0, said
        assert "the units in progress are finished" in said and "1 done" in said
    else:
        assert process.returncode == 128 + number, said
        assert f"ended by {number.name}" in said
