"""Image files for a gang programmer: one a unit, each read back before it is listed."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.flash import Firmware, merge_arguments, run_esptool
from tools.image import FlashLayout, list_files, make_image, read_file
from tools.private import PrivateFolder, write_private
from tools.provision.errors import ProvisionError
from tools.provision.units import Unit
from tools.provision.work import DEVICE

LIST = "images.csv"
PART = ".bin.part"


def file_name(unit: Unit) -> str:
    """Of the unit's image. A DeviceName may hold a colon, which some file systems refuse."""
    return re.sub(r"[^A-Za-z0-9._@-]", "_", unit.name) + ".bin"


def write_images(
    folder: Path,
    units: Sequence[Unit],
    files: Mapping[str, bytes],
    layout: FlashLayout,
    *,
    unique: bool,
    firmware: Firmware | None = None,
    on_unit: Callable[[Unit], None] | None = None,
) -> Path:
    """Write an image for each unit, or one for all without device certificates: the list.

    folder: made if need be. firmware: put in front, so that an image begins at offset 0 of the
    flash; without it an image is the file system's partition.
    The list images.csv has file, offset, bytes, sha256, deviceName; it holds no secret. It is
    written when all images are there. Raises ProvisionError, ImageError, FlashError, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for torn in folder.glob(f"*{PART}"):  # of a run that was killed
        torn.unlink()
    names = [file_name(unit) for unit in units]
    if unique and len(set(map(str.lower, names))) != len(names):
        raise ProvisionError("two DeviceNames lead to the same file name")
    wanted = units if unique else units[:1]
    rows = []
    for unit in wanted:
        if on_unit is not None:
            on_unit(unit)
        path = folder / (file_name(unit) if unique else "all-units.bin")
        content = {**files, DEVICE: unit.device_json()} if unique else dict(files)
        image = make_image(content, layout)
        data = _whole(image, layout, firmware)
        partial = path.with_suffix(PART)
        write_private(partial, data)
        start = layout.offset if firmware is not None else 0
        _check(partial, start, content)
        partial.replace(path)
        offset = 0 if firmware is not None else layout.offset
        digest = hashlib.sha256(data).hexdigest()
        rows.append(
            (path.name, f"{offset:#x}", len(data), digest, unit.device_name if unique else "")
        )
    target = folder / LIST
    with target.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "offset", "bytes", "sha256", "deviceName"))
        writer.writerows(rows)
    return target


def _check(path: Path, start: int, content: Mapping[str, bytes]) -> None:
    image = path.read_bytes()[start:]
    if set(list_files(image)) != set(content) or any(
        read_file(image, name) != data for name, data in content.items()
    ):
        raise ProvisionError(f"{path}: reads back differently from what was written")


def _whole(image: bytes, layout: FlashLayout, firmware: Firmware | None) -> bytes:
    if firmware is None:
        return image
    with PrivateFolder() as private:
        vfs, output = private / "vfs.bin", private / "flash.bin"
        write_private(vfs, image)
        write_private(output, b"")
        parts = [(firmware.offset, firmware.path), (layout.offset, vfs)]
        run_esptool(merge_arguments(firmware.chip, parts, output))
        return output.read_bytes()
