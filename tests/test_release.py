"""What `make release` builds: the same bytes every time, one version; and it works on a board."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MAC, WIFI, product_of

from tools.board import Board
from tools.board.serial_port import SerialPort
from tools.image import build_image, list_files
from tools.image.build import compiled_library
from tools.iot_platform import LocalPlatform
from tools.layout import LIB, ROOT, ROOTS
from tools.release.__main__ import SUMS, build
from tools.release.contents import Release, ReleaseError, changelog_version, check_version, tags
from tools.release.images import SIZES
from tools.release.mip import compiled, sources
from tools.version import package_version

RELEASE = Release(package_version(), 1795392000)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    build(folder, RELEASE)
    return folder


@pytest.fixture
def server(dist: Path) -> Iterator[str]:
    """A static web server with the folder mip: its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(dist / "mip"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def mip_install(board: Board, *arguments: str) -> str:
    return mpremote(board, "mip", "install", "--target", "/lib", *arguments)


def mpremote(board: Board, *arguments: str) -> str:
    with SerialPort(board) as line:
        command = ["connect", f"port:{line.path}", "resume", *arguments]
        run = subprocess.run(
            [sys.executable, "-m", "mpremote", *command],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def installed(board: Board) -> dict[str, bytes | None]:
    return {p.removeprefix("/lib/"): board.read(p) for p in board.files() if p[:5] == "/lib/"}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# --- the files


def test_two_builds_of_one_commit_are_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """By another process, with another hash seed, time zone and umask, at another time."""
    again = tmp_path / "elsewhere"
    command = f'umask 077; exec "{sys.executable}" -m tools.release --dirty --output "{again}"'
    different = {"PYTHONHASHSEED": "7", "TZ": "Asia/Shanghai", "LC_ALL": "C"}
    run = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, **different, "SOURCE_DATE_EPOCH": str(RELEASE.time)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    listed = (dist / SUMS).read_text("utf-8")
    assert (again / SUMS).read_text("utf-8") == listed
    assert len(listed.splitlines()) > 40


def test_the_checksums_are_those_of_all_files(dist: Path) -> None:
    lines = [line.split("  ") for line in (dist / SUMS).read_text("utf-8").splitlines()]
    listed = {name: digest for digest, name in lines}
    found = [path for path in dist.rglob("*") if path.is_file() and path.name != SUMS]
    assert listed == {
        path.relative_to(dist).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def test_a_folder_that_holds_something_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ReleaseError, match="holds something else"):
        build(tmp_path, RELEASE)
    assert (tmp_path / "thesis.txt").exists()


def test_the_images_hold_code_and_roots_and_no_secret(dist: Path) -> None:
    assert len(SIZES) == len(list((dist / "images").glob("*MiB.bin"))) / 2
    for path in (dist / "images").iterdir():
        gateway = "-gateway-" in path.name
        code = {*compiled(False), *(compiled(True) if gateway else ())}
        expected = {f"/lib/{name}" for name in code}
        expected |= {"/boot.py", "/main.py", "/build.json"}
        expected |= {f"/roots/{root.name}" for root in ROOTS.glob("*.der")}
        assert set(list_files(path.read_bytes())) == expected, path.name


def test_each_image_is_as_long_as_its_partition(dist: Path) -> None:
    for size in SIZES:
        path = dist / "images" / RELEASE.name(size.name, ".bin")
        assert path.stat().st_size == size.layout.size


def test_a_browser_finds_all_parts_but_the_firmware(dist: Path) -> None:
    """The manifest as esp-web-tools 10 reads it; paths are relative to it."""
    for size in SIZES:
        path = dist / "web" / f"manifest-{size.name}.json"
        manifest = read_json(path)
        assert manifest["version"] == RELEASE.version
        chips = {b["chipFamily"]: b["parts"] for b in manifest["builds"]}
        assert set(chips) == {"ESP32", "ESP32-S2", "ESP32-S3", "ESP32-C3"}
        for chip, (firmware, image) in chips.items():
            assert firmware["path"].startswith("firmware/ESP32_GENERIC")
            assert firmware["offset"] == (0x1000 if chip in ("ESP32", "ESP32-S2") else 0)
            assert image["offset"] == 0x200000
            assert (path.parent / image["path"]).stat().st_size == size.layout.size
        assert path.name in (dist / "web" / "index.html").read_text("utf-8")


def test_the_archives_are_readable_and_complete(dist: Path) -> None:
    with tarfile.open(dist / RELEASE.name("sources", ".tar.gz")) as tar:
        top = RELEASE.name("sources", "")
        names = {name.removeprefix(top + "/") for name in tar.getnames()}
        times = {entry.mtime for entry in tar.getmembers()}
    assert {"boot.py", "main.py", "LICENSE", "CHANGELOG.md", "package.json"} <= names
    assert {f"lib/{path.relative_to(LIB).as_posix()}" for path in LIB.rglob("*.py")} <= names
    assert times == {RELEASE.time}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_bill_of_materials_lists_every_module_and_root(dist: Path) -> None:
    bill = read_json(dist / "sbom.cdx.json")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["timestamp"] == "2026-11-23T00:00:00Z"
    below = [entry for part in bill["components"] for entry in part.get("components", [])]
    listed = {entry["name"]: entry["hashes"][0]["content"] for entry in below}
    assert listed == {
        path.relative_to(LIB).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in LIB.rglob("*.py")
    }
    names = {part["name"] for part in bill["components"]}
    assert {f"roots/{root.name}" for root in ROOTS.glob("*.der")} <= names
    references = {part["bom-ref"] for part in bill["components"]} | {"release"}
    for entry in bill["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= references


def test_the_notes_are_the_changelogs_section_of_this_version(dist: Path) -> None:
    text = (dist / "notes.md").read_text("utf-8")
    assert text.strip()
    assert text in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "\n## " not in text


# --- one version


def test_package_changelog_and_tag_name_one_version() -> None:
    check_version(package_version(), changelog_version(), tags())


def test_every_artefact_names_the_version(dist: Path) -> None:
    version = package_version()
    for name in ("package.json", "package-gateway.json"):
        assert read_json(dist / "mip" / name)["version"] == version
    for path in (dist / "mip" / "package").rglob("*.json"):
        assert read_json(path)["version"] == version
        assert path.stem in (version, "latest")
    bill = read_json(dist / "sbom.cdx.json")
    assert bill["metadata"]["component"]["version"] == version
    for path in [*dist.glob("*.tar.gz"), *(dist / "images").iterdir()]:
        assert f"-{version}-" in path.name


@pytest.mark.parametrize(
    ("changelog", "tagged", "said"),
    [
        ("0.1.9", [], "CHANGELOG.md begins with 0.1.9"),
        ("0.2.0", ["v0.1.0"], "tagged v0.1.0, but it is version 0.2.0"),
    ],
)
def test_versions_that_differ_are_not_released(
    changelog: str, tagged: list[str], said: str
) -> None:
    with pytest.raises(ReleaseError, match=said):
        check_version("0.2.0", changelog, tagged)


def test_the_command_refuses_a_time_that_is_none(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.release", "--dirty", "--output", str(tmp_path / "dist")],
        cwd=ROOT,
        env={"SOURCE_DATE_EPOCH": "yesterday", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: SOURCE_DATE_EPOCH: expected Unix seconds, a whole number\n"


# --- on a board


def test_what_mip_installs_connects_once_the_rest_is_copied(
    server: str, platform: LocalPlatform, tmp_path: Path
) -> None:
    """The commands of docs/install.md."""
    image = build_image(lib=None, boot=None, main=None, roots=[])
    board = Board(image, tmp_path / "board", mac=MAC, resolve={"*": "127.0.0.1"})
    mip_install(board, f"{server}/package.json")
    assert installed(board) == compiled(False)
    (tmp_path / "platform.der").write_bytes(platform.ca_der)
    (tmp_path / "product.json").write_text(json.dumps(product_of(platform)))
    (tmp_path / "wifi.json").write_text(json.dumps(WIFI))
    own = [str(tmp_path / "product.json"), str(tmp_path / "wifi.json")]
    mpremote(board, "mkdir", ":roots", "+", "cp", str(tmp_path / "platform.der"), ":roots/")
    mpremote(board, "cp", str(ROOT / "boot.py"), str(ROOT / "main.py"), *own, ":")
    result = board.boot(r"post_reply .*\n")
    assert result.ending == "until", result.output
    assert f"connected as {MAC}" in result.output


def test_mip_installs_what_the_tests_run() -> None:
    tested = compiled_library(LIB)
    shipped = compiled(False) | compiled(True)
    assert {f"/lib/{name}": data for name, data in shipped.items()} == tested


def test_mip_installs_the_gateway_with_what_it_depends_on(server: str, tmp_path: Path) -> None:
    board = Board(build_image(lib=None, boot=None, main=None, roots=[]), tmp_path / "board")
    mip_install(board, "--index", server, "aliyun-iot-gateway")
    assert installed(board) == compiled(False) | compiled(True)
    assert mip_install(board, "--index", server, "aliyun-iot").count("Exists:") == len(
        compiled(False)
    )


def test_mip_installs_sources_where_no_mpy_is_wanted(server: str, tmp_path: Path) -> None:
    board = Board(build_image(lib=None, boot=None, main=None, roots=[]), tmp_path / "board")
    mip_install(board, "--index", server, "--no-mpy", f"aliyun-iot@{RELEASE.version}")
    assert installed(board) == sources(False)


def test_the_image_boots_and_connects_once_product_and_network_are_on_it(
    dist: Path, platform: LocalPlatform, tmp_path: Path
) -> None:
    flash = (dist / "images" / RELEASE.name("2MiB", ".bin")).read_bytes()
    board = Board(flash, tmp_path / "board", mac=MAC, resolve={"*": "127.0.0.1"})
    blank = board.boot()
    assert "product.json: missing" in blank.output
    assert "Traceback" not in blank.output
    board.write("/product.json", json.dumps(product_of(platform)).encode())
    board.write("/wifi.json", json.dumps(WIFI).encode())
    board.write("/roots/platform.der", platform.ca_der)
    result = board.boot(r"post_reply .*\n")
    assert result.ending == "until", result.output
