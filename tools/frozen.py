"""Fetch micropython-umqtt.simple, which stock ESP32 firmware freezes and the unix port lacks.

The package on PyPI is a bare source archive without setup files: pip cannot install it. `unearth`
finds and downloads it from whatever index pip is configured for; this module checks its digest
and unpacks it to where the simulated board looks for frozen modules.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.layout import FROZEN

REQUIREMENT = "micropython-umqtt.simple==1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"


def main() -> None:
    argparse.ArgumentParser(prog="python -m tools.frozen", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "unearth", REQUIREMENT, "--no-binary"]
        subprocess.run(
            [*command, "--download", folder], check=True, stdout=subprocess.DEVNULL, timeout=120
        )
        archive = next(Path(folder).glob("*.tar.gz"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != SHA256:
            sys.exit(f"{archive.name}: SHA-256 is {digest}, expected {SHA256}")
        with tarfile.open(archive) as tar:
            source = next(m for m in tar.getmembers() if m.name.endswith("umqtt/simple.py"))
            content = tar.extractfile(source)
            assert content is not None  # a regular file always has content
            target = FROZEN / "umqtt" / "simple.py"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


if __name__ == "__main__":
    main()
