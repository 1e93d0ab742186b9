"""dist/*.tar.gz: the sources, and the type stubs for editors; the same bytes every time."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tools.layout import ROOT
from tools.release.contents import Release

SOURCES = (
    "boot.py",
    "main.py",
    "lib",
    "firmware",
    "docs/examples",
    "typings",
    "package.json",
    "package-gateway.json",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
)
"""What a firmware developer needs; the tools and tests are in the repository."""
_CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache")


def archive(names: Iterable[str], top: str, time: int) -> bytes:
    """A .tar.gz of files and folders of the repository, below the folder `top`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(_files(names)):
            entry = tarfile.TarInfo(f"{top}/{path.relative_to(ROOT).as_posix()}")
            entry.size = path.stat().st_size
            entry.mtime = time
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return gzip.compress(packed.getvalue(), 9, mtime=0)


def _files(names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        path = ROOT / name
        if path.is_file():
            yield path
        for below in path.rglob("*"):
            if below.is_file() and not set(below.parts) & set(_CACHES):
                yield below


def write_archives(folder: Path, release: Release) -> None:
    """Write both."""
    for what, names in (("sources", SOURCES), ("typings", ("typings", "LICENSE"))):
        data = archive(names, release.name(what, ""), release.time)
        (folder / release.name(what, ".tar.gz")).write_bytes(data)
