"""What must change on a board so that it holds exactly the package and the files given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.deploy.errors import DeployError
from tools.deploy.state import BoardState

PART = ".part"
"""Ending of a copy that has not been verified yet. Not `.new`: that is the device's own."""
PACKAGE_FOLDER = "/lib/aliyun_iot"
ROOTS_FOLDER = "/roots"
FOLDERS = ("/", "/lib", ROOTS_FOLDER)
"""What a board is asked to list."""
BUILD = "/build.json"
IDENTITY = ("/device.json", "/device.json.new")
"""Never touched by a deployment."""


@dataclass(frozen=True)
class Plan:
    """copy: path on the board -> content. remove: stale files. kept: number of files that are
    right already."""

    copy: dict[str, bytes] = field(repr=False)
    remove: tuple[str, ...]
    kept: int

    def __bool__(self) -> bool:
        return bool(self.copy or self.remove)

    def reason(self, path: str) -> str:
        """Why a file is removed, in a few words."""
        if path.endswith(PART):
            return "of a copy that was interrupted"
        if path.startswith(ROOTS_FOLDER + "/"):
            return "a trust root that is no longer given"
        return "it would hide the .mpy" if path.endswith(".py") else "not of this release"

    @property
    def bytes(self) -> int:
        """To be copied."""
        return sum(len(content) for content in self.copy.values())


def make_plan(files: Mapping[str, bytes], state: BoardState) -> Plan:
    """Compare what the board should hold with what it does.

    files: absolute path -> content. Stale, and so removed, are: a source beside a module that is
    copied compiled, which would hide it; a module of the package, or a trust root, that is no
    more; and copies that an earlier run did not finish.
    Raises DeployError when the flash has no room.
    """
    touched = [path for path in IDENTITY if path in files]
    if touched:
        raise DeployError(f"{touched[0]}: a deployment does not touch the identity")
    copy = {
        path: content
        for path, content in files.items()
        if path not in state.files
        or state.files[path].sha256 != hashlib.sha256(content).hexdigest()
    }
    remove = [path for path in state.files if path not in files and _stale(path, files)]
    if set(copy) == {BUILD} and not remove and BUILD in state.files:
        copy = {}  # nothing but the date of the build would change
    _check_room(copy, state)
    return Plan(copy, tuple(sorted(remove)), len(files) - len(copy))


def _stale(path: str, files: Mapping[str, bytes]) -> bool:
    if path.endswith(PART):
        return True
    if path.endswith(".py") and path[:-3] + ".mpy" in files:
        return True
    if path.startswith(PACKAGE_FOLDER + "/"):
        return path.endswith((".mpy", ".py"))
    return path.rpartition("/")[0] == ROOTS_FOLDER and path.endswith(".der")


def _check_room(copy: Mapping[str, bytes], state: BoardState) -> None:
    """Old and new files lie side by side until all are verified; littlefs also needs spares."""
    block = state.block
    needed = sum(-(-len(content) // block) * block for content in copy.values())
    if copy and needed + 2 * block > state.free:
        raise DeployError(
            f"{state.port}: the file system is full: {state.free // 1024} kB free, "
            f"{(needed + 2 * block) // 1024} kB needed"
        )
