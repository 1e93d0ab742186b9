"""Faults of a soak that happen on the board: power, resets, exceptions, flash, records."""

from __future__ import annotations

import json
import re

from tools.board import Cut, FlashFault, Session
from tools.faults.power import WHEN
from tools.faults.soak_life import SAID, FaultKind, Life
from tools.image.records import check_of

_OPERATIONS = 6
"""On the flash, of storing a DeviceSecret (`make faults` counts them)."""
_PAGE_OPERATIONS = 5
"""Of storing a page of sub-devices."""
_CHARACTERS = {True: 220, False: 80}
"""Of the log, up to about "connected as": of a boot that registers, and of one that does not."""
_NEVER = "(?!)"
_REPL = r"^>>> "
_RAISING = """
import builtins, os
left = {at}
def tripped(function):
    def call(*arguments):
        global left
        left -= 1
        if left == 0:
            print("injected: {error}")
            raise {error}
        return function(*arguments)
    return call
os.rename = tripped(os.rename)
builtins.open = tripped(builtins.open)
"""
_ERRORS = ("KeyboardInterrupt()", "MemoryError()", "OSError(5)", "RuntimeError()", "ValueError()")
_CALLS = 12
"""Of open and rename, while a refused secret is replaced."""
_FILLING = """
n = 0
for size in (20000, 3000, 300):
    try:
        while True:
            with open("/fill%d" % n, "wb") as file:
                file.write(bytes(size))
            n += 1
    except OSError:
        n += 1
"""


def _power_cut(life: Life) -> bool:
    if life.secret() is not None:
        life.invalidate()  # then there is something to write
    cut = Cut(life.rng.randint(1, _OPERATIONS), life.rng.choice(WHEN))
    return life.boot(cut=cut, well=("power cut",))[0] == "power cut"


def _power_cut_subdevices(life: Life) -> bool:
    before = 0
    if life.secret() is None:
        before = _OPERATIONS + 2  # the gateway's own secret; the folder
    else:
        life.invalidate_subdevices()
    cut = Cut(before + life.rng.randint(1, _PAGE_OPERATIONS), life.rng.choice(WHEN))
    ending, output = life.boot(cut=cut, well=("power cut",))
    return ending == "power cut" and "connected as" in output


def _interrupted(life: Life, session: Session, registers: bool) -> bool:
    """Let the board say a random number of characters; whether it was not through yet."""
    point = rf"[\s\S]{{{life.rng.randint(1, _CHARACTERS[registers])}}}"
    life.follow(session, f"{point}|{life.goal}", said=_NEVER)
    return "connected as" not in session.output


def _maybe_invalidate(life: Life) -> bool:
    """Whether the board is going to register."""
    invalid = life.rng.random() < 0.7
    if invalid:
        life.invalidate()
    return invalid or life.secret() is None


def _power_off(life: Life) -> bool:
    registers = _maybe_invalidate(life)
    with life.power_on() as session:
        return _interrupted(life, session, registers)


def _soft_reset(life: Life) -> bool:
    registers = _maybe_invalidate(life)
    with life.power_on(max_boots=3) as session:
        in_time = _interrupted(life, session, registers)
        session.send("\x03")
        life.follow(session, _REPL, since=len(session.output), well=("repl",))
        session.send("\x04")
        since = len(session.output)
        life.follow(session, since=since)
        return in_time and "soft reboot" in session.output[since:]


def _exception(life: Life) -> bool:
    life.invalidate()
    error = life.rng.choice(_ERRORS)
    life.prepend(_RAISING.format(at=life.rng.randint(1, _CALLS), error=error))
    # A crash resets the board; a file that seems to be missing, and Ctrl-C, lead to the REPL.
    ending, output = life.boot(well=("reset", "repl"))
    if ending == "repl" and "stopped: " not in output and "KeyboardInterrupt" not in output:
        life.sums.hangs.append(life.report("it stopped and does not say why", output))
    return "injected: " in output


def _unwritable(silent: bool) -> FaultKind:
    def inject(life: Life) -> bool:
        life.invalidate()
        life.board.flash_fault = FlashFault(None, silent)
        said = r"device\.json: (cannot be written|flash did not keep)"  # littlefs may notice it
        return re.search(said, life.boot(tries=3)[1]) is not None

    return FaultKind(f"flash that {'forgets silently' if silent else 'is read-only'}", inject)


def _full(life: Life) -> bool:
    life.invalidate()
    life.prepend(_FILLING)
    _, output = life.boot(tries=3)
    for path in life.board.files():
        if path.startswith("/fill"):
            life.board.write(path, None)
    return "device.json: cannot be written (error 28)" in output


def _recover(life: Life) -> str:
    """Boot a board whose record is spoilt; the operator opens its registration now or later."""
    late = life.rng.random() < 0.5
    if not late:
        life.reset()
    with life.power_on() as session:
        if late and life.follow(session, f"{SAID}|{life.goal}") == "goal":
            life.reset()
        life.follow(session)
        return session.output


def _registered(life: Life) -> bytes:
    """The record of a board that has one."""
    if life.secret() is None:
        life.clean()
    return life.board.read("/device.json") or b""


def _garbled(life: Life) -> bool:
    _registered(life)
    secret = (life.secret() or "").encode()
    flash = life.board.flash
    # Wherever it stands: the block of the record, and no other's.
    life.board.flash = flash.replace(secret, life.rng.randbytes(len(secret)))
    return life.board.flash != flash and "is not registered yet" in _recover(life)


def _truncated(life: Life) -> bool:
    record = _registered(life)
    life.board.write("/device.json", record[: life.rng.randrange(len(record))])
    return "is not registered yet" in _recover(life)


def _bad_successor(life: Life) -> bool:
    record = _registered(life)
    fields = json.loads(record)
    stale = {name: "stale" for name in ("deviceSecret", "deviceToken") if name in fields}
    unproven = {name: value for name, value in (fields | stale).items() if name != "check"}
    others = unproven | {"deviceName": "246f28999999"}
    text = life.rng.choice(
        [
            record[: life.rng.randrange(len(record))],
            json.dumps(fields | {"check": "00000000"}).encode(),
            json.dumps(unproven).encode(),
            json.dumps(others | {"check": check_of(others)}).encode(),
        ]
    )
    life.board.write("/device.json.new", text)
    before = life.secret()
    return life.boot()[0] == "goal" and life.secret() == before


def _invalid(life: Life) -> bool:
    if life.secret() is None:
        life.clean()
    life.invalidate()
    return "connect refused" in life.boot()[1]


def _invalid_subdevices(life: Life) -> bool:
    if life.secret() is None:
        life.clean()
    life.invalidate_subdevices()
    return "DeviceSecrets are no longer valid" in life.boot()[1]


KINDS = (
    FaultKind("power cut at a flash operation", _power_cut),
    FaultKind("power cut while sub-devices are stored", _power_cut_subdevices, ("gateway",)),
    FaultKind("power off at any character of the log", _power_off),
    FaultKind("Ctrl-C and soft reset", _soft_reset),
    FaultKind("exception in the middle", _exception),
    _unwritable(False),
    _unwritable(True),
    FaultKind("full flash", _full),
    FaultKind("record garbled in its block", _garbled, spoils=True),
    FaultKind("record truncated", _truncated, spoils=True),
    FaultKind("successor of the record that is no whole one", _bad_successor),
    FaultKind("secret made invalid by the platform", _invalid),
    FaultKind("sub-devices' secrets made invalid", _invalid_subdevices, ("gateway",)),
)
