"""package.json and firmware/manifest.py: they list what exists, under one version."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.board import Board
from tools.board.serial_port import SerialPort
from tools.image import build_image, package_version
from tools.layout import LIB, PACKAGE, ROOT
from tools.packaging import PACKAGE_JSON, package_json

MANIFEST = ROOT / "firmware" / "manifest.py"
SOURCES = {path.relative_to(LIB).as_posix() for path in PACKAGE.rglob("*.py")}


class Manifest:
    """What a manifest asks a firmware build for, by MicroPython's rules for manifest files.

    Paths are relative to the manifest; `package` takes all sources below a folder, or those named.
    """

    def __init__(self, path: Path) -> None:
        self.version: str | None = None
        self.included: list[str] = []
        self.frozen: set[str] = set()
        self._folder = path.parent
        names = {"metadata": self.metadata, "include": self.include, "package": self.package}
        exec(compile(path.read_text("utf-8"), str(path), "exec"), names)

    def metadata(self, *, version: str, **others: Any) -> None:
        assert set(others) <= {"description", "license", "author"}
        self.version = version

    def include(self, path: str) -> None:
        self.included.append(path)

    def package(self, name: str, files: Any = None, base_path: str = ".") -> None:
        base = self._folder / base_path
        paths = (
            (base / name).rglob("*.py")
            if files is None
            else [base / name / file for file in files]
        )
        self.frozen |= {path.relative_to(base).as_posix() for path in paths if path.exists()}


def test_package_json_lists_exactly_the_modules_that_exist() -> None:
    urls = json.loads(PACKAGE_JSON.read_text("utf-8"))["urls"]
    assert {target for target, _ in urls} == SOURCES, "run python -m tools.packaging"
    assert all((ROOT / url).read_bytes() for _, url in urls)


def test_package_json_is_what_its_tool_writes() -> None:
    assert PACKAGE_JSON.read_text("utf-8") == package_json(), "run python -m tools.packaging"


def test_the_manifest_freezes_exactly_the_modules_that_exist() -> None:
    assert Manifest(MANIFEST).frozen == SOURCES


def test_the_manifest_keeps_what_the_port_freezes() -> None:
    assert Manifest(MANIFEST).included == ["$(PORT_DIR)/boards/manifest.py"]


def test_the_version_is_the_same_everywhere() -> None:
    version = package_version()
    assert version != "0"
    assert json.loads(PACKAGE_JSON.read_text("utf-8"))["version"] == version
    assert Manifest(MANIFEST).version == version


def test_mip_installs_the_package_on_a_board(tmp_path: Path) -> None:
    """`mpremote mip install` from a checkout: no network, no dependency."""
    board = Board(build_image(lib=None, boot=None, main=None, roots=[]), tmp_path / "board")
    with SerialPort(board) as line:
        mip = ("mip", "install", "--target", "/lib", str(PACKAGE_JSON))
        run = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", f"port:{line.path}", "resume", *mip],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    sources = {f"/lib/{name}": (LIB / name).read_bytes() for name in SOURCES}
    assert {path: board.read(path) for path in sources} == sources
