"""Several boards at once: a thread for each port, a live table, a line for each unit."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from tools.command import Terminated
from tools.deploy.mpremote import abandon
from tools.provision.assign import Assignment
from tools.provision.log import ResultLog
from tools.provision.pace import per_hour
from tools.provision.work import Job, Outcome, provision, wait_for_next

COLOURS = {"done": "green", "before": "cyan", "failed": "red"}


@dataclass
class _Row:
    mac: str = ""
    name: str = ""
    step: str = "waiting"
    progress: float = 0.0


@dataclass
class Tally:
    """What a run came to so far."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        """The last word on each board that is not done."""
        last = {outcome.mac or outcome.port: outcome for outcome in self.outcomes}
        return [outcome for outcome in last.values() if outcome.status == "failed"]

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)


class Line:
    """The production line: ports, what they are busy with, and what came of it."""

    def __init__(
        self,
        ports: Sequence[str],
        job: Job,
        assignment: Assignment,
        log: ResultLog,
        console: Console,
        *,
        watch: bool = False,
    ) -> None:
        """watch: when a board is done, wait for the next one at its port."""
        self.tally = Tally()
        self._rows = {port: _Row() for port in ports}
        self._job = job
        self._assignment = assignment
        self._log = log
        self._console = console
        self._watch = watch
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy = len(self._rows)
        self._ended = threading.Event()

    def run(self) -> Tally:
        """Work until every port is done.

        Ctrl-C finishes the units in progress and ends; a second one, and SIGTERM and SIGHUP, end
        at once: the next run goes on with a unit that was begun.
        """
        try:
            with self._first_interrupt_stops():
                for port in self._rows:
                    threading.Thread(target=self._at_port, args=(port,), name=port).start()
                if self._console.is_terminal:
                    with Live(
                        console=self._console, get_renderable=self._table, refresh_per_second=5
                    ):
                        self._wait()
                else:
                    self._wait()
        except (KeyboardInterrupt, Terminated):
            self._stop.set()
            abandon()
            for thread in threading.enumerate():
                if thread.name in self._rows:
                    with contextlib.suppress(RuntimeError):  # not begun yet: it will find `_stop`
                        thread.join()
            raise
        finally:
            self._stop.set()
        return self.tally

    @contextlib.contextmanager
    def _first_interrupt_stops(self) -> Iterator[None]:
        """Ctrl-C only asks to stop, wherever it finds this thread; a second one is raised."""

        def ask(number: int, frame: FrameType | None) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._stop.set()

        before = signal.getsignal(signal.SIGINT)
        # One that is ignored stays so; only the main thread may set a handler.
        if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _wait(self) -> None:
        # Not by Thread.join: a signal that interrupts it makes Python take the thread for ended.
        ended = said = False
        while not ended:
            ended = self._ended.wait(0.2)
            if self._stop.is_set() and not said:
                said = True
                self._console.print(
                    "stopping when the units in progress are finished (Ctrl-C again: at once)"
                )

    def _at_port(self, port: str) -> None:
        try:
            self._work(port)
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._ended.set()

    def _work(self, port: str) -> None:
        if self._watch and not _exists(port):
            self._rows[port].step = "put the first board on"
            while not _exists(port):
                if self._over():
                    return
                time.sleep(0.1)
        while not self._stop.is_set():
            row = self._rows[port]
            row.mac = row.name = ""

            def show(mac: str, name: str, step: str, progress: float, row: _Row = row) -> None:
                row.mac, row.name, row.step, row.progress = mac, name, step, progress

            outcome = provision(port, self._job, self._assignment, self._log, show)
            row.mac, row.name = outcome.mac, outcome.name
            row.step = outcome.status if not outcome.reason else outcome.reason
            row.progress = float(outcome.status != "failed")
            self.tally.outcomes.append(outcome)
            self._say(outcome)
            if not self._watch or self._assignment.finished:
                return
            row.step = f"{outcome.status}: take it off, put the next one on"
            if not wait_for_next(port, _exists, self._over):
                return

    def _over(self) -> bool:
        return self._stop.is_set() or self._assignment.finished

    def _say(self, outcome: Outcome) -> None:
        colour = COLOURS[outcome.status]
        text = {"done": "done", "before": "done before", "failed": "FAILED"}[outcome.status]
        why = f": {outcome.reason}" if outcome.status == "failed" else ""
        self._console.print(f"[{colour}]{text}[/{colour}] {escape(outcome.board)}{escape(why)}")

    def _title(self) -> str:
        tally = self.tally
        rate = per_hour(tally.count("done"), [outcome.span for outcome in tally.outcomes])
        pace = "" if rate == "-" else f"; {rate} an hour"
        return (
            f"{tally.count('done'):,} done, {tally.count('before'):,} done before, "
            f"{len(tally.failed):,} failed, {self._assignment.remaining:,} to do{pace}"
        )

    def _table(self) -> Table:
        wide = self._console.width >= 100
        table = Table(title=self._title(), title_justify="left", box=None, expand=True)
        table.add_column("port", no_wrap=True)
        table.add_column("MAC", no_wrap=True)
        # Names are short as a rule: the room is the step's.
        name_width = 32 if wide else 18
        table.add_column("unit", no_wrap=True, overflow="ellipsis", max_width=name_width)
        table.add_column("", no_wrap=True)
        table.add_column("step", no_wrap=True, overflow="ellipsis", ratio=1)
        length = 20 if wide else 8
        for port, row in list(self._rows.items()):
            filled = round(row.progress * length)
            bar = f"[green]{'━' * filled}[/green][dim]{'╌' * (length - filled)}[/dim]"
            name, step = escape(row.name), escape(row.step)
            table.add_row(Path(port).name, row.mac, name, bar, step)
        return table


def _exists(port: str) -> bool:
    return Path(port).exists() or "://" in port
