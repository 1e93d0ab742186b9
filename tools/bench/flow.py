"""One thing a board does, from power-on to a mark in its output: what is measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tools.board import Board, BootResult

BOOT_SECONDS = 20
REPLIED = r"post_reply.*\n"
"""The platform's answer to the first property post: the end of every flow."""
CONNECTED = r"(?m:^(?:here|connected)\n)"
"""What the scripts say that only connect."""
FAILED = r"rror|trying again|boot:"
"""Anything that did not go through at the first try."""


@dataclass(frozen=True)
class Flow:
    """One thing a board does, from power-on to a mark in its output."""

    name: str
    board: Callable[[], Board]
    """A board ready for it, each call a new one or as new."""
    done: str = REPLIED
    seconds: float = BOOT_SECONDS
    """Until it is given up."""

    def run(self, heap: float | None = None) -> BootResult:
        """One power cycle, with so much heap (kibibytes of a 32-bit chip)."""
        board = self.board()
        board.heap = None if heap is None else f"{int(heap * 1024)}w"
        return board.boot(f"{self.done}|{FAILED}", self.seconds)

    def checked(self) -> BootResult:
        """One power cycle that gets through. Raises RuntimeError with its output if not."""
        result = self.run()
        if not self.got_through(result):
            raise RuntimeError(f"{self.name}: {result.ending}: {result.output}")
        return result

    def passes(self, heap: float) -> bool:
        """Whether it gets through at the first try, without a complaint."""
        return self.got_through(self.run(heap))

    def got_through(self, result: BootResult) -> bool:
        """Whether a run ended as it should, without a complaint."""
        return result.ending == "until" and good(result, self.done)


def good(result: BootResult, done: str = REPLIED) -> bool:
    """Whether the output shows the end of the flow and no failure before it."""
    return bool(re.search(done, result.output)) and not re.search(FAILED, result.output)
