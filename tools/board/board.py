"""A simulated ESP32: switch it on, boot it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.board.hardware import Hardware
from tools.board.results import BootResult, Cut, Ending
from tools.board.session import Session


class Board(Hardware):
    """One board. What it keeps without power lies in its folder, so it can be picked up again.

    Its surroundings (`wifi`, `resolve`, `ntp`) may be changed at any time, while it runs too.
    """

    def power_on(self, max_boots: int = 1, echo: Callable[[bytes], None] | None = None) -> Session:
        """Switch it on and leave it running: `with board.power_on() as session: ...`

        max_boots: how many times the chip may start before a reset ends the session.
        echo: called with whatever comes on the serial line.
        """
        cut, self.power_cut = self.power_cut, None
        return Session(self, cut, max_boots, echo)

    def boot(
        self,
        until: str | None = None,
        timeout: float = 30,
        *,
        then: Sequence[str] = (),
        send: str | None = None,
        max_boots: int = 1,
        power_cut: Cut | None = None,
        echo: Callable[[bytes], None] | None = None,
    ) -> BootResult:
        """One power cycle: boot.py, main.py, REPL. The power is off when this returns.

        until: regular expression; the power is cut as soon as the output matches it.
        timeout: seconds until the power is cut in any case.
        then: lines typed at the REPL once it is reached, each after the prompt.
        send: put on the serial line at once. max_boots: see `power_on`.
        """
        if power_cut is not None:
            self.power_cut = power_cut
        with self.power_on(max_boots, echo) as session:
            if send is not None:
                session.send(send)
            ending: Ending = session.wait(until, timeout)
            if ending == "repl":
                for line in then:
                    session.repl(line, timeout)
                    if session.ending is not None:
                        ending = session.ending
                        break
        return session.result(ending)
