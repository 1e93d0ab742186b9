"""Carries out a plan: copy to temporary names, verify all, then put all in place."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping

from tools.deploy.errors import DeployError
from tools.deploy.mpremote import Mpremote
from tools.deploy.plan import BUILD, PART, Plan

Progress = Callable[[str, int], None]
"""Called before each file with its path, and with the bytes finished so far."""
_LAST = ("/main.py", "/boot.py", BUILD)


def _order(path: str) -> tuple[int, str]:
    """The package first; what starts it, and the mark of what is installed, at the end."""
    return (_LAST.index(path) + 1 if path in _LAST else 0, path)


def _folders(paths: Mapping[str, bytes]) -> list[str]:
    """Every folder that must be there, parents first."""
    found = set()
    for path in paths:
        parts = path.split("/")[1:-1]
        found |= {"/" + "/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return sorted(found)


def transfer(
    remote: Mpremote,
    plan: Plan,
    progress: Progress | None = None,
    first: tuple[str, ...] = (),
) -> None:
    """Copy, verify, rename, remove. Raises DeployError; then every old file is still in place.

    Every file goes to a temporary name and is hashed on the board. Only when all of them are
    right do they take their places, in one short step, so an interrupted copy changes nothing.
    first: files to remove just before that step.
    """
    paths = sorted(plan.copy, key=_order)
    parts = {path + PART: path for path in paths}
    steps = [remote.script("prepare", {"folders": _folders(plan.copy), "remove": list(parts)})]
    for part, path in parts.items():
        steps.append(["fs", "cp", "-f", str(remote.file(plan.copy[path])), f":{part}"])
        steps.append(["fs", "sha256sum", f":{part}"])
    wanted = {part: hashlib.sha256(plan.copy[path]).hexdigest() for part, path in parts.items()}
    got: dict[str, str] = {}
    hashed = ""
    finished = 0

    def on_line(line: str) -> None:
        nonlocal hashed, finished
        word, _, rest = line.partition(" ")
        if word == "cp":
            path = parts.get(rest.rpartition(" :")[2], "")
            if progress is not None:
                progress(path, finished)
            finished += len(plan.copy.get(path, b""))
        elif word == "sha256sum":
            hashed = rest.removeprefix(":")
        elif hashed:
            got[hashed] = line.strip()
            hashed = ""

    try:
        if paths:
            remote.run(*steps, on_line=on_line)
            wrong = [path for part, path in parts.items() if got.get(part) != wanted[part]]
            if wrong:
                raise DeployError(
                    f"{remote.port}: {wrong[0]}: what was written reads back differently; "
                    "nothing was changed. Check cable and power, and try again"
                )
        renames = [[part, path] for part, path in parts.items()]
        given = {"remove": list(first), "rename": renames, "after": list(plan.remove)}
        if not remote.ask("install", given):
            raise DeployError(f"{remote.port}: the board did not confirm; run it again")
    except DeployError:
        with contextlib.suppress(DeployError):  # a board that is gone cannot be tidied up
            remote.run(
                remote.script("prepare", {"folders": [], "remove": list(parts)}), stalled=12
            )
        raise
