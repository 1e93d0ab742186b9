"""One board: ask, write, read back, compare."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.deploy import (
    BoardState,
    DeployError,
    Mpremote,
    Plan,
    check_firmware,
    make_plan,
    read_state,
    transfer,
)
from tools.deploy.plan import BUILD, FOLDERS, IDENTITY, PACKAGE_FOLDER, ROOTS_FOLDER
from tools.deploy.state import identity_hash
from tools.image import package_version
from tools.provision.assign import Assignment
from tools.provision.errors import ProvisionError
from tools.provision.log import ResultLog
from tools.provision.units import Unit

DEVICE = "/device.json"
SUCCESSOR = "/device.json.new"
Show = Callable[[str, str, str, float], None]
"""Called with MAC, unit, step and its progress from 0 to 1."""


@dataclass(frozen=True)
class Job:
    """What every board of a run gets. files: path -> content, without device.json.

    prefix: of the DeviceName that a board makes of its MAC. replace: overwrite another identity.
    """

    files: Mapping[str, bytes]
    unique: bool
    prefix: str = ""
    replace: bool = False

    def __repr__(self) -> str:  # the files hold secrets
        return f"Job({len(self.files)} files, unique={self.unique})"


@dataclass(frozen=True)
class Outcome:
    """What became of the board at a port."""

    port: str
    mac: str
    name: str
    status: str
    """ "done", "failed", or "before": it was done in an earlier run."""
    reason: str = ""
    span: tuple[float, float] = (0.0, 0.0)
    """When it was worked on, as time.monotonic() counts."""

    @property
    def board(self) -> str:
        """Which one it is, for a person: port, MAC address and name, as far as they are known."""
        return " ".join(text for text in (self.port, self.mac, self.name) if text)


def _read(remote: Mpremote, files: Mapping[str, bytes]) -> BoardState:
    hashed = {PACKAGE_FOLDER, ROOTS_FOLDER, DEVICE, SUCCESSOR, *files}
    return read_state(remote, FOLDERS, sorted(hashed), IDENTITY)


def provision(port: str, job: Job, assignment: Assignment, log: ResultLog, show: Show) -> Outcome:
    """Provision the board at `port`. Raises nothing: the outcome, and the log, say it all."""
    began = time.monotonic()
    mac = name = firmware = ""
    number = 0

    def fail(reason: str) -> Outcome:
        reason = reason.removeprefix(f"{port}: ")
        log.add(
            "failed",
            mac,
            port,
            unit=number,
            name=name,
            reason=reason,
            seconds=time.monotonic() - began,
            firmware=firmware,
        )
        return Outcome(port, mac, name, "failed", reason, (began, time.monotonic()))

    try:
        with Mpremote(port) as remote:
            show("", "", "reading", 0)
            state = _read(remote, job.files)
            mac, firmware = state.mac, state.firmware
            check_firmware(state)
            if not mac:
                return fail("the board does not tell its MAC address")
            called = job.prefix + mac
            own = assignment.own(mac, called)
            before = assignment.done(mac)
            if before is not None and own is not None and _is_right(state, job, own):
                right = "done before, and still right"
                return Outcome(port, mac, before.name, "before", right, (began, time.monotonic()))
            if job.unique and not job.replace:
                _refuse_other_identity(state, own)
            unit = assignment.claim(mac, port, called, firmware)
            number = unit.number
            name = unit.name if job.unique else called
            plan = _plan(job, state, unit)
            total = max(1, plan.bytes)
            transfer(
                remote,
                plan,
                lambda path, finished: show(mac, name, "writing", finished / total),
                (SUCCESSOR,) if job.unique else (),
                on_installed=lambda at, of: show(mac, name, f"in place: {at} of {of}", 1),
            )
            show(mac, name, "reading back", 1)
            again = _read(remote, job.files)
            if again.mac != mac:
                raise ProvisionError(f"another board ({again.mac}) is at this port now")
            _compare(again, job, unit)
    except (DeployError, ProvisionError) as e:
        return fail(str(e))
    except Exception as e:  # a bug must not pass for a provisioned board, nor stop the line
        return fail(f"internal error: {type(e).__name__}")
    log.add(
        "done",
        mac,
        port,
        unit=number,
        name=name,
        seconds=time.monotonic() - began,
        firmware=firmware,
        package=package_version(),
    )
    return Outcome(port, mac, name, "done", span=(began, time.monotonic()))


def _plan(job: Job, state: BoardState, unit: Unit) -> Plan:
    """What the board lacks."""
    plan = make_plan(job.files, state)
    if not job.unique or _is_units(state, DEVICE, unit):
        return plan
    return Plan({**plan.copy, DEVICE: unit.device_json()}, plan.remove, plan.kept)


def _holds(state: BoardState, path: str, content: bytes) -> bool:
    found = state.files.get(path)
    return found is not None and found.sha256 == hashlib.sha256(content).hexdigest()


def _is_units(state: BoardState, path: str, unit: Unit) -> bool:
    """Whether a record is the unit's, as it was written here or by the board since."""
    found = state.files.get(path)
    own = identity_hash(json.loads(unit.device_json()))
    return _holds(state, path, unit.device_json()) or (found is not None and found.identity == own)


def _refuse_other_identity(state: BoardState, own: Unit | None) -> None:
    """Raises ProvisionError where the board is somebody else already, before it takes a row."""
    for path in (DEVICE, SUCCESSOR):
        found = state.files.get(path)
        if found is None or not found.size:
            continue
        if own is None or not _is_units(state, path, own):
            raise ProvisionError(
                f"the board holds another identity ({path}); --replace overwrites it"
            )


def _compare(state: BoardState, job: Job, unit: Unit) -> None:
    """Everything on the flash against what it shall be. Raises ProvisionError."""
    if job.unique and not _is_units(state, DEVICE, unit):
        raise ProvisionError(f"{DEVICE}: reads back differently from what was written")
    for path, content in job.files.items():
        dated = path == BUILD and path in state.files  # of an earlier copy of the same files
        if not dated and not _holds(state, path, content):
            raise ProvisionError(f"{path}: reads back differently from what was written")
    if job.unique and SUCCESSOR in state.files:
        raise ProvisionError(f"{SUCCESSOR}: a record of another identity is still there")


def _is_right(state: BoardState, job: Job, unit: Unit) -> bool:
    try:
        _compare(state, job, unit)
    except ProvisionError:
        return False
    return True


def wait_for_next(port: str, exists: Callable[[str], bool], stopped: Callable[[], bool]) -> bool:
    """Wait until the board is taken off the port and another one is there: False if stopped."""
    for wanted in (False, True):
        while exists(port) != wanted:
            if stopped():
                return False
            time.sleep(0.1)
    with contextlib.suppress(OSError):
        time.sleep(0.5)  # the system's own set-up of the port
    return not stopped()
