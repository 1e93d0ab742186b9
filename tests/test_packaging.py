"""package.json, package-gateway.json, firmware/manifest.py: what exists, under one version."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.board import Board
from tools.board.serial_port import SerialPort
from tools.image import build_image, package_version
from tools.layout import LIB, PACKAGE, ROOT
from tools.packaging import (
    GATEWAY,
    GATEWAY_JSON,
    MANIFEST,
    PACKAGE_JSON,
    manifest,
    package_json,
)

SOURCES = {path.relative_to(LIB).as_posix() for path in PACKAGE.rglob("*.py")}


class Manifest:
    """What a manifest asks a firmware build for, by MicroPython's rules for manifest files.

    Paths are relative to the manifest; `package` takes all sources below a folder, or those named.
    """

    def __init__(self, path: Path) -> None:
        self.version: str | None = None
        self.included: list[str] = []
        self.frozen: set[str] = set()
        self.entries: list[set[str]] = []
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
        self.entries.append({path.relative_to(base).as_posix() for path in paths if path.exists()})
        self.frozen |= self.entries[-1]


@pytest.mark.parametrize(("path", "gateway"), [(PACKAGE_JSON, False), (GATEWAY_JSON, True)])
def test_a_package_file_lists_exactly_the_modules_that_exist(path: Path, gateway: bool) -> None:
    urls = json.loads(path.read_text("utf-8"))["urls"]
    expected = {name for name in SOURCES if name.startswith(GATEWAY) == gateway}
    assert len(expected) > 5
    assert {target for target, _ in urls} == expected, "run aliyun-iot packaging"
    assert all((ROOT / url).read_bytes() for _, url in urls)
    assert path.read_text("utf-8") == package_json(gateway), "run aliyun-iot packaging"


def test_no_module_of_a_device_imports_the_gateway() -> None:
    for name in SOURCES:
        if not name.startswith(GATEWAY):
            text = (LIB / name).read_text("utf-8")
            assert not re.search(r"import .*gateway|gateway\.", text), name


def test_the_manifest_freezes_exactly_the_modules_that_exist() -> None:
    assert MANIFEST.read_text("utf-8") == manifest(), "run aliyun-iot packaging"
    assert Manifest(MANIFEST).frozen == SOURCES


def test_the_gateway_is_an_entry_of_its_own_in_the_manifest() -> None:
    device, gateway = Manifest(MANIFEST).entries
    assert gateway == {name for name in SOURCES if name.startswith(GATEWAY)}
    assert not device & gateway


def test_the_manifest_keeps_what_the_port_freezes() -> None:
    assert Manifest(MANIFEST).included == ["$(PORT_DIR)/boards/manifest.py"]


def test_the_version_is_the_same_everywhere() -> None:
    version = package_version()
    assert version != "0"
    for path in (PACKAGE_JSON, GATEWAY_JSON):
        assert json.loads(path.read_text("utf-8"))["version"] == version
    assert Manifest(MANIFEST).version == version


def test_mip_installs_the_package_on_a_board(tmp_path: Path) -> None:
    """`mpremote mip install` from a checkout: no network, no dependency."""
    board = Board(build_image(lib=None, boot=None, main=None, roots=[]), tmp_path / "board")
    for path in (PACKAGE_JSON, GATEWAY_JSON):  # each by itself
        with SerialPort(board) as line:
            mip = ("mip", "install", "--target", "/lib", str(path))
            run = subprocess.run(
                [sys.executable, "-m", "mpremote", "connect", f"port:{line.path}", "resume", *mip],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
        assert run.returncode == 0, run.stdout + run.stderr
        whole = path == GATEWAY_JSON
        names = {name for name in SOURCES if whole or not name.startswith(GATEWAY)}
        found = {path.removeprefix("/lib/") for path in board.files() if path.startswith("/lib/")}
        assert found == names
        assert all(board.read(f"/lib/{name}") == (LIB / name).read_bytes() for name in names)
