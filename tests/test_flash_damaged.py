"""Truncated or corrupted firmware is refused, and no output is made from it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from serial_boards import run_tool
from test_flash import APPLICATION, PRODUCT, TABLE, seal
from test_flash import stock as stock

from tools.flash import FlashError, read_firmware
from tools.flash.app_image import damage


def damaged(stock: Path, name: str) -> bytes:
    """The stock firmware after a bad download, a bad copy or a disk fault."""
    data = bytearray(stock.read_bytes())
    if name.startswith("cut to "):
        return bytes(data[: int(name.removeprefix("cut to "))])
    if name.startswith("cut by "):
        return bytes(data[: -int(name.removeprefix("cut by "))])
    if name.startswith("bytes at "):
        at = int(name.removeprefix("bytes at "), 0)
        for place, change in enumerate((0x55, 1, 2, 4)):
            data[at + place] ^= change
    elif name.startswith("two bits at "):  # not detected by the checksum, which is an XOR
        at = int(name.removeprefix("two bits at "), 0)
        data[at] ^= 1
        data[at + 1] ^= 1
    elif name == "no application":
        data[APPLICATION:] = b"\xff" * (len(data) - APPLICATION)
    elif name == "another chip's application":
        struct.pack_into("<H", data, APPLICATION + 12, 9)
        seal(data)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cut to 100000", 'application "factory" is cut off'),
        ("cut to 1500000", 'application "factory" is cut off'),
        ("cut to 61440", 'application "factory" is missing'),
        ("cut to 61450", 'application "factory" is missing'),
        ("cut by 1", 'application "factory" is cut off'),
        ("cut by 33", 'application "factory" is cut off'),
        ("bytes at 400000", 'application "factory" has a wrong checksum'),
        ("two bits at 400000", 'application "factory" has a wrong SHA-256'),
        ("bytes at 0xf001", 'application "factory"'),
        ("bytes at 100", "boot loader has a wrong checksum"),
        ("two bits at 100", "boot loader has a wrong SHA-256"),
        ("bytes at 0x7044", "partition table's MD5"),
        ("bytes at 0x7020", "partition table's MD5"),
        ("no application", 'application "factory" is missing'),
        ("another chip's application", "another chip"),
    ],
)
def test_damaged_firmware_is_refused(stock: Path, tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / "damaged.bin"
    path.write_bytes(damaged(stock, name))
    with pytest.raises(FlashError) as caught:
        read_firmware(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}: damaged: ")


@pytest.mark.parametrize("offset", [0, APPLICATION])
def test_esptool_agrees_which_firmware_is_damaged(stock: Path, offset: int) -> None:
    """The check is compared with that of the tool that writes firmware."""
    from esptool.bin_image import LoadFirmwareImage  # type: ignore[import-untyped]
    from esptool.util import FatalError  # type: ignore[import-untyped]

    whole = stock.read_bytes()[offset : TABLE if not offset else None]
    for at in (None, 30, 200, 5000):
        data = bytearray(whole)
        if at is not None:
            data[at] ^= 1
            data[at + 1] ^= 1
        try:
            image = LoadFirmwareImage("esp32", bytes(data))
        except FatalError:
            good = False
        else:
            good = image.checksum == image.calculate_checksum()
            good = good and image.stored_digest == image.calc_digest
        assert (damage(bytes(data)) is None) == good == (at is None)


@pytest.mark.parametrize("words", [["--output", "whole.bin"], ["--images", "images"]])
def test_nothing_is_made_from_damaged_firmware(
    stock: Path, tmp_path: Path, words: list[str]
) -> None:
    firmware, product, csv = (tmp_path / name for name in ("bad.bin", "p.json", "units.csv"))
    firmware.write_bytes(damaged(stock, "bytes at 400000"))
    product.write_text(json.dumps(PRODUCT))
    csv.write_text("id\n1\n")
    made = tmp_path / words[1]
    arguments: list[str | Path] = ["--firmware", firmware, "--product", product, words[0], made]
    if words[0] == "--images":
        run = run_tool("tools.provision", csv, *arguments)
    else:
        run = run_tool("tools.flash", *arguments)
    assert run.status == 1
    assert f"error: {firmware}: damaged: the application" in run.output
    assert not made.exists()


def test_a_second_application_may_be_empty_but_not_damaged(stock: Path, tmp_path: Path) -> None:
    """As in builds with over-the-air updates: ota_0 and ota_1, of which the second is erased."""
    data = bytearray(stock.read_bytes())
    entries = [("nvs", 1, 2, 0x9000, 0x6000), ("ota_0", 0, 16, 0x10000, 0x1F0000)]
    entries.append(("ota_1", 0, 17, 0x200000, 0x1F0000))
    for number, (name, kind, subtype, offset, size) in enumerate(entries):
        entry = struct.pack(
            "<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0
        )
        data[TABLE + 32 * number : TABLE + 32 * number + 32] = entry
    data[TABLE + 96 : TABLE + 160] = b"\xff" * 64
    seal(data)
    path = tmp_path / "ota.bin"
    path.write_bytes(data)
    assert [p.name for p in read_firmware(path).partitions] == ["nvs", "ota_0", "ota_1"]
    second = bytes(data).ljust(0x200000 - 0x1000, b"\xff") + bytes(data[APPLICATION:])
    path.write_bytes(second)
    read_firmware(path)
    path.write_bytes(second[:-100])
    with pytest.raises(FlashError, match='"ota_1" is cut off'):
        read_firmware(path)
