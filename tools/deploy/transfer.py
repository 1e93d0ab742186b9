"""Carries out a plan: copy to temporary names, verify all, then put all in place."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

from tools.deploy.errors import DeployError, DisturbedError, SilentError
from tools.deploy.mpremote import ATTEMPTS, STALLED, Mpremote
from tools.deploy.plan import BUILD, PART, Plan

Progress = Callable[[str, int], None]
"""Called before each file with its path, and with the bytes finished so far."""
_LAST = ("/main.py", "/boot.py", BUILD)
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
    *,
    on_installed: Callable[[int, int], None] | None = None,
    stalled: float = STALLED,
) -> None:
    """Copy, verify, rename, remove. Raises DeployError.

    Every file goes to a temporary name and is hashed on the board. Only when all of them are
    right do they take their places, one after the other, so an interrupted copy changes nothing;
    one that is interrupted while they do is completed by the next.
    first: files to remove just before that step. on_installed: called with the number of files
    in place, and of all. stalled: seconds without a word from the board that end it.
    """
    paths = sorted(plan.copy, key=_order)
    parts = {path + PART: path for path in paths}
    try:
        _copy(remote, plan, parts, progress, stalled)
    except DeployError:
        with contextlib.suppress(DeployError):  # a board that is gone cannot be tidied up
            given = {"folders": [], "remove": list(parts)}
            remote.run(remote.script("prepare", given), stalled=12)
        raise
    _install(remote, plan, parts, first, on_installed, stalled)


def _copy(
    remote: Mpremote,
    plan: Plan,
    parts: Mapping[str, str],
    progress: Progress | None,
    stalled: float,
) -> None:
    """Bring all files to their temporary names, each proved by its hash."""
    wanted = {part: hashlib.sha256(plan.copy[path]).hexdigest() for part, path in parts.items()}
    got: dict[str, str] = {}
    attempts = 0
    while left := [part for part in parts if got.get(part) != wanted[part]]:
        before = len(left)
        try:
            _copy_some(remote, plan, parts, left, got, progress, stalled)
        except DisturbedError:
            left = [part for part in parts if got.get(part) != wanted[part]]
            attempts = attempts + 1 if len(left) == before else 1
            if attempts == ATTEMPTS:
                raise
            continue
        wrong = [part for part in parts if got.get(part) != wanted[part]]
        if wrong:
            raise DeployError(
                f"{remote.port}: {parts[wrong[0]]}: what was written reads back differently; "
                "nothing was changed. Check cable and power, and try again"
            )


def _copy_some(
    remote: Mpremote,
    plan: Plan,
    parts: Mapping[str, str],
    left: Sequence[str],
    got: dict[str, str],
    progress: Progress | None,
    stalled: float,
) -> None:
    """Copy these parts in one connection; `got` takes the hashes that the board names."""
    given = {"folders": _folders(plan.copy), "remove": list(left)}
    steps = [remote.script("prepare", given)]
    for part in left:
        steps.append(["fs", "cp", "-f", str(remote.file(plan.copy[parts[part]])), f":{part}"])
        steps.append(["fs", "sha256sum", f":{part}"])
    finished = sum(len(plan.copy[path]) for part, path in parts.items() if part not in left)
    hashed = ""

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
        elif hashed and (digest := _SHA256.search(line)):
            got[hashed] = digest[0]
            hashed = ""

    remote.run(*steps, on_line=on_line, stalled=stalled)


def _install(
    remote: Mpremote,
    plan: Plan,
    parts: Mapping[str, str],
    first: tuple[str, ...],
    on_installed: Callable[[int, int], None] | None,
    stalled: float,
) -> None:
    """Let the copies take their places. What was begun is gone on with, if the board lets us."""
    steps = [*parts.values(), *plan.remove]
    given = {
        "remove": list(first),
        "rename": [[part, path] for part, path in parts.items()],
        "after": list(plan.remove),
    }
    there: set[str] = set()

    def on_answer(answer: object) -> None:
        there.add(str(answer))
        if on_installed is not None:
            on_installed(len(there & set(steps)), len(steps))

    for attempt in range(1, ATTEMPTS + 1):
        try:
            answers = remote.ask("install", given, on_answer=on_answer, stalled=stalled)
        except DeployError as e:
            if isinstance(e, SilentError) and attempt < ATTEMPTS:
                continue  # it may only be slow: what is in place stays, the rest follows
            raise DeployError(
                f"{e} ({len(there & set(steps))} of {len(steps)} steps of the installation were "
                "done; run it again, that completes it)"
            ) from None
        if 0 not in answers:
            raise DeployError(f"{remote.port}: the board did not confirm; run it again")
        return
