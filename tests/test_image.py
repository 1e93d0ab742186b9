"""Flash images: their content and layout, and how they are read and changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from littlefs import LittleFS, UserContext

from tools.image import (
    CompileError,
    FlashLayout,
    ImageError,
    LayoutError,
    build_image,
    list_files,
    make_image,
    parse_size,
    read_file,
    stock_layout,
    write_file,
)
from tools.image.records import with_check
from tools.layout import LIB, ROOT

PRODUCT = {"productKey": "a1ExpAkj9Hi", "productSecret": "ffFnFlKQW3HYjjPR"}
WIFI = {"ssid": "bench", "password": "correct horse"}
DEVICE = {
    "productKey": "a1ExpAkj9Hi",
    "deviceName": "Example_dyn1",
    "deviceSecret": "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4",
}
MEGABYTE = 1024 * 1024


# --- content


def test_an_image_holds_scripts_library_roots_and_records() -> None:
    image = build_image(PRODUCT, WIFI, DEVICE, built=1700000000)
    files = list_files(image)
    modules = {f"/lib/{p.relative_to(LIB).with_suffix('.mpy')}" for p in LIB.rglob("*.py")}
    records = {"/product.json", "/wifi.json", "/device.json", "/build.json"}
    roots = {"/roots/globalsign-root-ca.der", "/roots/globalsign-root-r6.der"}
    gateway = {path for path in modules if path.startswith("/lib/aliyun_iot/gateway/")}
    assert set(files) == (modules - gateway) | records | roots | {"/boot.py", "/main.py"}
    assert gateway < set(list_files(build_image(main="import aliyun_iot.gateway")))
    assert read_file(image, "/boot.py") == (ROOT / "boot.py").read_bytes()
    assert json.loads(read_file(image, "/product.json") or b"") == with_check(PRODUCT)


def test_a_product_image_holds_no_device_certificate() -> None:
    assert read_file(build_image(PRODUCT), "/device.json") is None


def test_build_json_holds_the_floor_of_the_clock_and_the_version() -> None:
    build = json.loads(read_file(build_image(PRODUCT, built=1700000000), "/build.json") or b"")
    assert build["time"] == 1700000000
    assert re.fullmatch(r"\d+\.\d+\.\d+", build["version"])


def test_the_same_input_gives_the_same_image() -> None:
    assert build_image(PRODUCT, built=5) == build_image(PRODUCT, built=5)


def test_source_date_epoch_sets_the_build_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert b"1600000000" in (read_file(build_image(PRODUCT), "/build.json") or b"")


def test_libraries_are_compiled_with_short_file_names(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("raise ValueError")
    code = read_file(build_image(lib=tmp_path), "/lib/package/module.mpy")
    assert code is not None and code[:2] == b"M\x06"
    assert b"module.py" in code
    assert str(tmp_path).encode() not in code


def test_line_numbers_can_be_dropped() -> None:
    def size(optimise: int) -> int:
        files = list_files(build_image(PRODUCT, optimise=optimise))
        return sum(files[path] for path in files if path.endswith(".mpy"))

    assert size(3) < size(0)


def test_a_compile_error_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nx = = 2\n")
    with pytest.raises(CompileError, match=r'File "broken.py", line 2'):
        build_image(lib=tmp_path)


def test_added_files_override_the_others() -> None:
    image = build_image(PRODUCT, files={"/main.py": "print(1)", "/deep/down/x": b"\x00\xff"})
    assert read_file(image, "/main.py") == b"print(1)"
    assert read_file(image, "/deep/down/x") == b"\x00\xff"


# --- the file system


def test_reading_a_missing_file_gives_none() -> None:
    image = make_image({"/a/b": b"x"}, FlashLayout())
    assert [read_file(image, path) for path in ("/c", "/a", "/a/b/c", "/d/e")] == [None] * 4


def test_a_file_can_be_written_replaced_and_removed() -> None:
    image = make_image({"/a": b"1"}, FlashLayout())
    image = write_file(image, "/b/c", b"2")
    image = write_file(image, "/a", b"3")
    assert (read_file(image, "/a"), read_file(image, "/b/c")) == (b"3", b"2")
    image = write_file(image, "/a", None)
    assert list_files(image) == {"/b/c": 1}
    assert write_file(image, "/never", None) == image


def test_an_error_names_the_file_that_does_not_fit() -> None:
    with pytest.raises(ImageError, match="/big: 40000 bytes"):
        make_image({"/big": bytes(40000)}, FlashLayout(size=8 * 4096))


@pytest.mark.parametrize("image", [b"", b"\xff" * 100, b"\xff" * 8192, bytes(8192)])
def test_bytes_that_are_not_an_image_are_an_error(image: bytes) -> None:
    with pytest.raises(ImageError, match="image"):
        list_files(image)


# --- layouts


@pytest.mark.parametrize(
    ("flash_size", "firmware", "blocks"),
    [
        ("4MB", "1.23", 512),
        ("4MB", "1.25.0", 512),
        ("8MB", "1.25", 512),
        ("4MB", "1.26", 512),
        ("8MB", "1.26.1", 1536),
        ("16MB", "v1.28.0", 3584),
    ],
)
def test_the_block_count_is_that_of_the_stock_firmware(
    flash_size: str, firmware: str, blocks: int
) -> None:
    layout = stock_layout(parse_size(flash_size), firmware)
    assert (layout.offset, layout.block_count) == (0x200000, blocks)
    assert len(make_image({}, layout)) == blocks * 4096


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_the_disk_version_can_be_chosen(version: str) -> None:
    image = make_image({"/a": b"1"}, FlashLayout(disk_version=version))
    fs = LittleFS(
        context=UserContext(buffer=bytearray(image)),
        mount=False,
        block_size=4096,
        block_count=512,
    )
    fs.mount()
    major, minor = version.split(".")
    assert fs.fs_stat().disk_version == int(major) << 16 | int(minor)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4MB", 4 * MEGABYTE), ("4MiB", 4 * MEGABYTE), ("16m", 16 * MEGABYTE), ("512KB", 524288)]
    + [("0x200000", 0x200000), ("65536", 65536)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "4 parsecs", "-4MB", "4GB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(LayoutError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "firmware"), [("2MB", "1.28"), ("4MB", "1.22"), ("4MB", "latest"), ("1024MB", "1.28")]
)
def test_impossible_flash_sizes_and_versions_are_refused(size: str, firmware: str) -> None:
    with pytest.raises(LayoutError):
        stock_layout(parse_size(size), firmware)


@pytest.mark.parametrize("size", [0, 4096, 8193])
def test_a_partition_must_be_whole_blocks(size: int) -> None:
    with pytest.raises(LayoutError, match="file system size"):
        FlashLayout(size=size)


# --- the command


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.image", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_writes_an_image(tmp_path: Path) -> None:
    product = tmp_path / "product.json"
    product.write_text(json.dumps(PRODUCT))
    target = tmp_path / "out" / "flash.bin"
    run = command("--product", product, "--output", target, "--flash-size", "8MB", "--list")
    assert run.returncode == 0, run.stderr
    assert "1536 blocks of 4096 bytes for offset 0x200000" in run.stdout
    assert "/lib/aliyun_iot/device.mpy" in run.stdout
    assert PRODUCT["productSecret"] not in run.stdout + run.stderr
    written = json.loads(read_file(target.read_bytes(), "/product.json") or b"")
    assert written == with_check(json.loads(product.read_bytes()))


def test_the_command_reports_an_error_in_one_line(tmp_path: Path) -> None:
    product = tmp_path / "product.json"
    product.write_text('{"productKey": "a1", "productSecret": 5}')
    run = command("--product", product, "--output", tmp_path / "flash.bin")
    assert run.returncode == 1
    assert run.stderr == f'error: {product}: "productSecret": expected text\n'
    assert not (tmp_path / "flash.bin").exists()


def test_the_command_names_a_missing_file(tmp_path: Path) -> None:
    run = command("--product", tmp_path / "none.json")
    assert run.returncode == 1
    assert run.stderr == f"error: {tmp_path / 'none.json'}: No such file or directory\n"
