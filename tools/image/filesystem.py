"""littlefs2 images in memory: make one, list it, read and write its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from littlefs import LittleFS, UserContext
from littlefs.errors import LittleFSError

from tools.image.layout import BLOCK_SIZE, FlashLayout

# At level DEBUG it logs the bytes of each write, and some of them are secrets.
logging.getLogger("littlefs.context").setLevel(logging.INFO)


class ImageError(Exception):
    """Bytes that are no littlefs image, or a file that does not fit."""


def _mount(buffer: bytearray, disk_version: int = 0) -> LittleFS:
    if not buffer or len(buffer) % BLOCK_SIZE:
        raise ImageError(f"image: {len(buffer)} bytes; expected a multiple of {BLOCK_SIZE}")
    fs = LittleFS(
        context=UserContext(buffer=buffer),
        mount=False,
        block_size=BLOCK_SIZE,
        block_count=len(buffer) // BLOCK_SIZE,
        # What MicroPython mounts with: a bigger program size would pad, and wear, more.
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        disk_version=disk_version,
    )
    if disk_version:
        fs.format()
    try:
        fs.mount()
    except LittleFSError as e:
        raise ImageError(f"image: not a littlefs file system of this size ({e})") from None
    return fs


def _put(fs: LittleFS, path: str, data: bytes) -> None:
    folder = path.rpartition("/")[0]
    try:
        if folder:
            fs.makedirs(folder, exist_ok=True)
        with fs.open(path, "wb") as file:
            file.write(data)
    except LittleFSError as e:
        raise ImageError(f"{path}: {len(data)} bytes cannot be written ({e})") from None


def make_image(files: Mapping[str, bytes], layout: FlashLayout) -> bytes:
    """A file system that holds `files` (absolute path -> content). Raises ImageError."""
    buffer = bytearray(b"\xff") * layout.size
    fs = _mount(buffer, layout.disk_version_word)
    for path in sorted(files):
        _put(fs, path, files[path])
    fs.unmount()
    return bytes(buffer)


def read_file(image: bytes, path: str) -> bytes | None:
    """Content of a file of the image, None if there is no such file. Raises ImageError."""
    fs = _mount(bytearray(image))
    try:
        with fs.open(path, "rb") as file:
            return bytes(file.read())
    except (FileNotFoundError, IsADirectoryError):
        return None
    except LittleFSError as e:
        if e.code == LittleFSError.Error.LFS_ERR_NOTDIR:
            return None
        raise ImageError(f"{path}: cannot be read ({e})") from None


def write_file(image: bytes, path: str, data: bytes | None) -> bytes:
    """The image with one file written, or removed where data is None. Raises ImageError."""
    buffer = bytearray(image)
    fs = _mount(buffer)
    if data is not None:
        _put(fs, path, data)
    else:
        try:
            fs.remove(path)
        except FileNotFoundError:
            return image
        except LittleFSError as e:
            raise ImageError(f"{path}: cannot be removed ({e})") from None
    fs.unmount()
    return bytes(buffer)


def list_files(image: bytes) -> dict[str, int]:
    """Absolute path -> size in bytes, of every file. Raises ImageError."""
    fs = _mount(bytearray(image))
    files = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            files[path] = fs.stat(path).size
    return dict(sorted(files.items()))
