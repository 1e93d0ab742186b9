"""A board under power: from power-on, through soft and warm resets, to power-off."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Literal

from tools.board.hardware import Hardware
from tools.board.interpreter import Interpreter
from tools.board.lock import hold, release
from tools.board.meters import Meters
from tools.board.results import BootResult, Cut, Ending, FlashUse
from tools.board.serial_line import PROMPT, SerialLine

POWER_ON, HARD_RESET, WATCHDOG_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
"""Reset causes, as `machine.reset_cause()` numbers them."""


class Session:
    """The chip with power on. A context manager: leaving it cuts the power."""

    def __init__(
        self,
        board: Hardware,
        cut: Cut | None = None,
        max_boots: int = 1,
        echo: Callable[[bytes], None] | None = None,
    ) -> None:
        """Raises InUse where another board is under power in the same folder."""
        self.board = board
        self.line = SerialLine(echo)
        self.resets = 0
        self.ending: Ending | None = None
        """How the power cycle ended by itself; None while the chip runs."""
        self.died_of: str | None = None
        """Name of the signal that the interpreter itself died of, if it did: a defect of it."""
        self.at_repl = False
        """Whether boot.py and main.py are over."""
        self.heap_before_boot = 0
        """Bytes on the heap when boot.py began."""
        self.matched = 0  # where what was last waited for ends, in `output`
        self._sent_at = -1  # length of the output when something was typed last
        self._interrupted = False  # Ctrl-C came before the interpreter could take it
        self._cut = cut
        self._boots_left = max_boots
        self._watchdog: float | None = None
        self._meters = Meters(board.folder)
        self._began = time.monotonic()
        self._lock = hold(
            board.folder / "power",
            f"{board.folder}: a simulated board is under power there already",
        )
        try:
            board.power_on_state()
            self._interpreter = self._start(POWER_ON)
        # Whatever it is, Ctrl-C too, goes on; only the lock must not stay.
        except BaseException:
            release(self._lock)
            raise

    def _start(self, cause: int, raw_repl: bool = False) -> Interpreter:
        board = self.board
        (board.folder / "cause").write_text(str(cause))
        self._meters.restart()
        fault = board.flash_fault
        bad = -1 if fault is None else -2 if fault.block is None else fault.block
        cut = 0
        if self._cut is not None:
            use = self._meters.ended
            cut = max(0, self._cut.operation - use.programs - use.erases)
        self.at_repl = False
        self._watchdog = None
        self._starting = True
        self.line.expect(raw_repl)
        return Interpreter(
            board.folder,
            {
                "raw_repl": raw_repl,
                "hurry": board.hurry,
                "lenient": board.lenient_json,
                "cut": cut,
                "when": self._cut.when if self._cut else "",
                "bad": bad,
                "worn": bool(fault and fault.silent),
            },
            board.native,
            board.heap,
            board.frozen,
            board.options,
        )

    @property
    def raw(self) -> bytes:
        """Bytes that came on the serial line."""
        return self.line.raw

    @property
    def output(self) -> str:
        """Everything on the serial line so far, line ends as "\\n"."""
        return self.line.text()

    @property
    def at_prompt(self) -> bool:
        """Whether the REPL waits for input, having answered all that was typed."""
        return self.at_repl and len(self.raw) > self._sent_at and self.raw.endswith(PROMPT)

    @property
    def flash(self) -> FlashUse:
        """What has been done to the flash in this power cycle so far."""
        return self._meters.running if self._interpreter.alive else self._meters.ended

    @property
    def heap_crossed(self) -> bool:
        """Whether the heap has grown into the network's memory since power-on."""
        return self._meters.heap_crossed

    def _restart(self, cause: int, raw_repl: bool = False) -> None:
        """Start again without losing power."""
        self._interpreter.kill()
        self._meters.add(booted=not self._starting)
        self.resets += 1
        self._interpreter = self._start(cause, raw_repl)

    def _finish(self, ending: Ending) -> None:
        self.power_off()
        self.ending = ending

    def _reset(self, cause: int) -> None:
        self._boots_left -= 1
        if self._boots_left > 0:
            self.board.hard_reset_state()
            self._restart(cause)
        else:
            self._finish("reset")

    def step(self, timeout: float, also: Sequence[int] = ()) -> None:
        """Let the chip run until something happens, at most for `timeout` seconds.

        also: descriptors; something to read there is something that happens.
        """
        if self.ending is not None:
            return
        if self._watchdog is not None:
            timeout = min(timeout, self._watchdog - time.monotonic())
        output, messages = self._interpreter.read(timeout, also)
        self.line.receive(output)
        for message in messages:
            self._obey(message)
        if self.ending is None and self._interpreter.ended:
            self.died_of = self._interpreter.died_of()
            self._finish("exit")
        elif self._watchdog is not None and time.monotonic() >= self._watchdog:
            self._reset(WATCHDOG_RESET)

    def _drain(self) -> None:
        """Read what the process said before its last message on the control pipe."""
        deadline = time.monotonic() + 5  # it is about to kill itself
        while not self._interpreter.ended and time.monotonic() < deadline:
            output, _ = self._interpreter.read(1)
            self.line.receive(output)

    def _obey(self, message: str) -> None:
        word, _, argument = message.partition(" ")
        if word == "repl":
            self.at_repl = True
            if self.line.wants_raw_repl:
                self._interpreter.write(b"\x01")
        elif word == "wdt":
            self._watchdog = time.monotonic() + int(argument) / 1000
        elif word == "heap":
            self.heap_before_boot = int(argument)
            self._starting = False
            if self._interrupted:
                self._interrupted = False
                self._interpreter.interrupt()
        elif word == "corrupt":
            self._finish("corrupt")
        else:
            self._drain()
            if word == "cut":
                self._finish("power cut")
            elif word == "soft":
                raw_repl = self.line.in_raw_repl
                self.line.receive(b"MPY: soft reboot\r\n")
                self._restart(SOFT_RESET, raw_repl)
            else:
                self._reset(DEEPSLEEP_RESET if word == "deepsleep" else HARD_RESET)

    def wait(
        self, until: str | None = None, timeout: float = 30, since: int = 0
    ) -> Literal["until", "repl", "timeout"] | Ending:
        """Run until the regular expression is seen, a prompt is reached, or the power cycle ends.

        until: searched in the output from character `since` on, `^` and `$` matching at lines;
        without it a prompt ends the wait. `matched` is where it ended: what is expected next may
        be there already, so look from there, not from the end of the output. A prompt of the
        REPL ends the wait in any case: after it nothing more comes by itself. timeout: seconds.
        """
        deadline = time.monotonic() + timeout
        seen = -1
        while True:
            if len(self.raw) != seen:
                seen = len(self.raw)
                if until is not None:
                    match = re.search(until, self.output[since:], re.MULTILINE)
                    if match:
                        self.matched = since + match.end()
                        return "until"
                if self.at_prompt:
                    return "repl"
            if self.ending is not None:
                return self.ending
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            length, repl = len(self.raw), self.at_repl
            self.step(left)
            if length == len(self.raw) and repl != self.at_repl:
                seen = -1  # the prompt may have come before the message

    def send(self, data: bytes | str) -> None:
        """Put something on the serial line; byte 3 is Ctrl-C."""
        parts = (data.encode() if isinstance(data, str) else data).split(b"\x03")
        self._sent_at = len(self.raw)
        self._interpreter.write(parts[0])
        for part in parts[1:]:
            if self._starting:
                self._interrupted = True
            else:
                self._interpreter.interrupt()
            self._interpreter.write(part)

    def repl(self, line: str, timeout: float = 10) -> str:
        """Type one line at the prompt and return what it prints, without echo and prompt.

        Raises TimeoutError if no new prompt comes.
        """
        before = len(self.raw)
        self.send(line + "\r")
        deadline = time.monotonic() + timeout
        while not self.at_prompt:
            if self.ending is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no prompt after {line!r}; the line says {self.output!r}")
            self.step(min(0.5, timeout))
        answer = self.line.text(before)
        return answer.partition("\n")[2].removesuffix(PROMPT.decode())

    def power_off(self) -> None:
        """Cut the power now."""
        if self._interpreter.alive:
            self._interpreter.kill()
            self._meters.add(booted=not self._starting)
            release(self._lock)

    def result(self, ending: Ending) -> BootResult:
        """The account of this power cycle, which must be over."""
        seconds = time.monotonic() - self._began
        return BootResult(
            self.output,
            ending,
            self._meters.ended,
            self.resets,
            seconds,
            self.heap_before_boot,
            self._meters.heap_peak,
            self.heap_crossed,
            self.died_of,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.power_off()
