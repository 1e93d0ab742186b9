"""dist/mip: the two packages as `mip` and `mpremote mip` install them, from any web server.

Two ways lead to the same files:

    mpremote mip install http://host/mip/package.json             each package by itself
    mpremote mip install --index http://host/mip aliyun-iot-gateway     with what it depends on

The second is an index as micropython-lib's: `package/<mpy>/<name>/<version>.json` holds the first
eight hex digits of each file's SHA-256, and the file lies at `file/<two>/<eight>`. A board skips
what it has already. Boards without .mpy, and `--no-mpy`, get the sources from `package/py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from tools.image import compile_source
from tools.layout import LIB
from tools.release.contents import DEVICE_PACKAGE, GATEWAY_PACKAGE, Release, modules

MPY_VERSION = "6"
"""Major version of .mpy files: MicroPython 1.19 and later."""
OPTIMISE = 0
"""What the tests run and `make deploy` copies. 3 drops line numbers, and with them 2 kB of flash
and 0.6 kB of heap (measured): less than the line number in a stranger's traceback is worth."""
_SHORT = 8


def compiled(gateway: bool) -> dict[str, bytes]:
    """Path below /lib -> .mpy. Raises CompileError."""
    return {
        path.relative_to(LIB).with_suffix(".mpy").as_posix(): compile_source(
            path.read_bytes(), path.name, OPTIMISE
        )
        for path in modules(gateway)
    }


def sources(gateway: bool) -> dict[str, bytes]:
    """Path below /lib -> source."""
    return {path.relative_to(LIB).as_posix(): path.read_bytes() for path in modules(gateway)}


def _stored(data: bytes) -> tuple[str, str]:
    """A file's short hash, and its path below mip/."""
    short = hashlib.sha256(data).hexdigest()[:_SHORT]
    return short, f"file/{short[:2]}/{short}"


def write_mip(folder: Path, release: Release) -> None:
    """Write everything below `folder`. Raises CompileError."""
    for name, gateway, plain in (
        (DEVICE_PACKAGE, False, "package.json"),
        (GATEWAY_PACKAGE, True, "package-gateway.json"),
    ):
        dependencies = [[DEVICE_PACKAGE, release.version]] if gateway else []
        for kind, files in ((MPY_VERSION, compiled(gateway)), ("py", sources(gateway))):
            hashes = [[target, _stored(data)[0]] for target, data in files.items()]
            entry = {"v": 1, "version": release.version, "hashes": hashes, "deps": dependencies}
            for version in (release.version, "latest"):
                _write_json(folder / "package" / kind / name / f"{version}.json", entry)
            _write_files(folder, files)
        urls = [[target, _stored(data)[1]] for target, data in compiled(gateway).items()]
        _write_json(folder / plain, {"version": release.version, "deps": [], "urls": urls})


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for data in files.values():
        path = folder / _stored(data)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() != data:
            raise AssertionError(f"{path}: two files share the first digits of their SHA-256")
        path.write_bytes(data)


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
