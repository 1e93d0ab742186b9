"""Which unit a board becomes. No row is ever given to two boards, not even after a crash."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tools.provision.errors import ProvisionError
from tools.provision.log import Entry, ResultLog
from tools.provision.units import Unit


class Assignment:
    """Gives rows to boards, from several threads, by what rows and log say.

    A row with a MAC, or in product mode a DeviceName, waits for that board; the others are given
    out in order. A row that was begun on one board stays that board's: its identity may be on its
    flash already.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        log: ResultLog,
        *,
        unique: bool,
        release: bool = False,
    ) -> None:
        """unique: rows carry device certificates. release: give out rows again that were begun on
        a board and never finished."""
        self._units = units
        self._log = log
        self._unique = unique
        self._lock = threading.Lock()
        self._released: set[str] = set()
        self._counted = (-1, 0)  # units finished, units of the list that are left
        if release:
            self._released = set(log.standing.claims) - set(log.standing.finished)

    def done(self, mac: str) -> Entry | None:
        """What the log says of a board that was finished before."""
        return self._log.standing.done.get(mac)

    def own(self, mac: str, device_name: str) -> Unit | None:
        """The unit that can only be this board: by the log, or by its row.

        device_name: what the board calls itself in product mode.
        """
        return self._own(mac, device_name, self._log.standing.claims)

    def claim(self, mac: str, port: str, device_name: str, firmware: str) -> Unit:
        """The unit that this board becomes; logged as started before it returns.

        Raises ProvisionError when no row fits.
        """
        with self._lock:
            claims = self._log.standing.claims
            unit = self._own(mac, device_name, claims) or self._free(mac, device_name, claims)
            self._released.discard(unit.name)
            self._log.add(
                "started", mac, port, unit=unit.number, name=unit.name, firmware=firmware
            )
            return unit

    def _own(self, mac: str, device_name: str, claims: dict[str, str]) -> Unit | None:
        for unit in self._units:
            begun = claims.get(unit.name) == mac and unit.name not in self._released
            if begun or (unit.mac and unit.mac == mac):
                return unit
            if not self._unique and unit.device_name and unit.device_name == device_name:
                return unit
        return None

    def _free(self, mac: str, device_name: str, claims: dict[str, str]) -> Unit:
        for unit in self._units:
            waiting = unit.mac or (not self._unique and unit.device_name)
            taken = unit.name in claims and unit.name not in self._released
            if not waiting and not taken:
                return unit
        if any(unit.mac or not self._unique for unit in self._units):
            raise ProvisionError(f"{device_name or mac} is not in the list: is it pre-registered?")
        raise ProvisionError("no unit is left in the list for this board")

    @property
    def remaining(self) -> int:
        """How many units are not done."""
        finished = self._log.standing.finished
        if len(finished) != self._counted[0]:
            left = sum(unit.name not in finished for unit in self._units)
            self._counted = (len(finished), left)
        return self._counted[1]

    @property
    def finished(self) -> bool:
        """Whether every unit is done."""
        return not self.remaining
