"""micropython-lib's HMAC and urlencode as PyPI has them, to measure beside the package's own.

The packages are bare source archives without setup files, from 2017 and 2018; later versions are
not on PyPI. `unearth` downloads them from whatever index pip is configured for.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.image import compile_source
from tools.layout import ROOT

FOLDER = ROOT / ".venv" / "bench"

PACKAGES = {
    "micropython-hmac==3.4.2.post3": (
        "e0fb5bad648c8b5a5838e958ea74ad3cc50872264f98fccc0a0b124550c2af0b",
        ("hmac.py",),
    ),
    "micropython-hashlib==2.4.0.post5": (
        "9139da0065478dcf9d6d8793cbd2a5a616375962e93231cf3d52e07cb6801c22",
        ("hashlib/__init__.py", "hashlib/_sha256.py"),
    ),
    "micropython-warnings==0.1.1": (
        "7a2f34e45f839c58194fcd44f3570dcd0a0e58be1aa6efd20def97408ff19315",
        ("warnings.py",),
    ),
    "micropython-urllib.parse==0.5.2": (
        "882b7c2f47aee397b109d7544495e67f5e0a908b5daf522f8c4670f770a92f13",
        ("urllib/parse.py",),
    ),
    "micropython-collections==0.1.3": (
        "3677dc63efaaa28275b0572c4b4f44035d5fd6da5d126a105de6a743f697293c",
        ("collections/__init__.py",),
    ),
    "micropython-collections.defaultdict==0.3": (
        "f1ff5737ede88fee29cfc1d208c5191445327e76624059f99a205659bdcc6cf9",
        ("collections/defaultdict.py",),
    ),
}
"""Requirement -> SHA-256 of the archive, and the files taken out of it."""


def _fetch(requirement: str, digest: str, files: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "unearth", requirement, "--no-binary"]
        subprocess.run(
            [*command, "--download", folder], check=True, stdout=subprocess.DEVNULL, timeout=120
        )
        archive = next(Path(folder).glob("*.tar.gz"))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != digest:
            raise RuntimeError(f"{archive.name}: SHA-256 is {found}, expected {digest}")
        with tarfile.open(archive) as tar:
            for name in files:
                member = next(m for m in tar.getmembers() if m.name.split("/", 1)[-1] == name)
                content = tar.extractfile(member)
                assert content is not None  # a regular file always has content
                target = FOLDER / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def pypi_modules(*requirements: str) -> dict[str, bytes]:
    """Path on a board such as "/lib/hmac.mpy" -> code. Downloads what is not there yet.

    requirements: the beginnings of some in `PACKAGES`; all of them by default.
    """
    found = {}
    for requirement, (digest, files) in PACKAGES.items():
        if requirements and not requirement.startswith(requirements):
            continue
        if not all((FOLDER / name).exists() for name in files):
            _fetch(requirement, digest, files)
        for name in files:
            code = compile_source((FOLDER / name).read_bytes(), name, 3)
            found[f"/lib/{name.removesuffix('.py')}.mpy"] = code
    return found


HMAC = ("micropython-hmac", "micropython-hashlib", "micropython-warnings")
