"""micropython-lib's HMAC as PyPI has it, for the peer that uses it.

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


def pypi_hmac() -> dict[str, bytes]:
    """Module path such as "hashlib/_sha256.py" -> source. Downloads what is not there yet."""
    for requirement, (digest, files) in PACKAGES.items():
        if not all((FOLDER / name).exists() for name in files):
            _fetch(requirement, digest, files)
    return {name: (FOLDER / name).read_bytes() for _, files in PACKAGES.values() for name in files}
