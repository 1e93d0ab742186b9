"""What goes into a release: version, time, the modules of each package, the repository's files."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.layout import LIB, ROOT
from tools.packaging import sources
from tools.version import package_version

CHANGELOG = ROOT / "CHANGELOG.md"
DEVICE_PACKAGE = "aliyun-iot"
GATEWAY_PACKAGE = "aliyun-iot-gateway"
DESCRIPTION = "The identity of an ESP32 on Alibaba Cloud IoT Platform"


class ReleaseError(Exception):
    """Why there is nothing to release, in one sentence."""


@dataclass(frozen=True)
class Release:
    """What every artefact is named and dated by. time: Unix seconds."""

    version: str
    time: int

    def name(self, what: str, end: str) -> str:
        """File name of an artefact: `aliyun_iot-0.1.0-sources.tar.gz`."""
        return f"aliyun_iot-{self.version}-{what}{end}"


def modules(gateway: bool) -> list[Path]:
    """The modules of a direct device, or those that a gateway needs beside them."""
    return [LIB / name for name in sources(gateway)]


def changelog_version() -> str:
    """The version of the changelog's first section. Raises ReleaseError."""
    match = re.search(r"(?m)^## \[?(\d[\w.+-]*)", CHANGELOG.read_text("utf-8"))
    if match is None:
        raise ReleaseError('CHANGELOG.md: no section; expected "## <version>" at its top')
    return match[1]


def notes() -> str:
    """The first section of the changelog, without its heading. Raises ReleaseError."""
    version = re.escape(changelog_version())
    text = CHANGELOG.read_text("utf-8")
    match = re.search(rf"(?ms)^## \[?{version}\b[^\n]*\n(.*?)(?=^## |\Z)", text)
    assert match  # changelog_version found it
    return match[1].strip() + "\n"


def git(*arguments: str) -> str | None:
    """What git says of the repository, or None where there is no git, or no repository."""
    try:
        run = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def commit_time() -> int:
    """SOURCE_DATE_EPOCH, or else the last commit's time: Unix seconds. Raises ReleaseError."""
    said = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if said is None:
        raise ReleaseError("no commit to take the time from; set SOURCE_DATE_EPOCH")
    if not said.isdecimal():
        raise ReleaseError("SOURCE_DATE_EPOCH: expected Unix seconds, a whole number")
    return int(said)


def tags() -> list[str]:
    """The version tags of this commit: `v0.1.0`."""
    return [tag for tag in (git("tag", "--points-at", "HEAD") or "").split() if tag[:1] == "v"]


def check_version(version: str, changelog: str, tagged: list[str]) -> None:
    """See that package, changelog and tag name one version. Raises ReleaseError."""
    if changelog != version:
        raise ReleaseError(
            f"CHANGELOG.md begins with {changelog}, lib/aliyun_iot/__init__.py says {version}"
        )
    for tag in tagged:
        if tag != f"v{version}":
            raise ReleaseError(f"this commit is tagged {tag}, but it is version {version}")


def check_clean() -> None:
    """See that what is released is what is committed. Raises ReleaseError."""
    changed = git("status", "--porcelain") or ""
    if changed:
        first, *rest = [line.split(maxsplit=1)[-1] for line in changed.splitlines()]
        more = f" and {len(rest)} more" if rest else ""
        raise ReleaseError(
            f"{first}{more}: not committed; commit it, or say --dirty (make: DIRTY=1)"
        )


def this_release() -> Release:
    """The release that the repository holds. Raises ReleaseError."""
    version = package_version()
    check_version(version, changelog_version(), tags())
    return Release(version, commit_time())
