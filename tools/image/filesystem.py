"""littlefs2 images in memory: make one, list it, read and write its files."""

from __future__ import annotations

from collections.abc import Mapping

from littlefs import LittleFS, UserContext
from littlefs.errors import LittleFSError
from littlefs.lfs import LFSConfig

from tools.image.layout import BLOCK_SIZE, FlashLayout

PROGRAM_SIZE = 32
"""Bytes that MicroPython reads or programs at least."""
_ATTRIBUTE_SIZE = 1000
"""Bytes of an attribute; littlefs takes up to 1,022."""


class ImageError(Exception):
    """Bytes that are no littlefs image, or a file that does not fit."""


class _Flash(UserContext):
    """Flash in memory. UserContext's own also logs each byte written, and some are secrets."""

    def __init__(self, buffer: bytearray) -> None:
        super().__init__(buffer=buffer)
        self.erases = 0
        self.end = 0
        """Where in its block the last program ended."""

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        start = block * BLOCK_SIZE + off
        return self.buffer[start : start + size]

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        start = block * BLOCK_SIZE + off
        self.end = off + len(data)
        self.buffer[start : start + len(data)] = data
        return 0

    def erase(self, cfg: LFSConfig, block: int) -> int:
        start = block * BLOCK_SIZE
        self.erases += 1
        self.buffer[start : start + BLOCK_SIZE] = b"\xff" * BLOCK_SIZE
        return 0


def _mount(buffer: bytearray, disk_version: int = 0) -> LittleFS:
    if not buffer or len(buffer) % BLOCK_SIZE:
        raise ImageError(f"image: {len(buffer)} bytes; expected a multiple of {BLOCK_SIZE}")
    fs = LittleFS(
        context=_Flash(buffer),
        mount=False,
        block_size=BLOCK_SIZE,
        block_count=len(buffer) // BLOCK_SIZE,
        # What MicroPython mounts with: a bigger program size would pad, and wear, more.
        read_size=PROGRAM_SIZE,
        prog_size=PROGRAM_SIZE,
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


def _compact(fs: LittleFS, folder: str) -> None:
    """Have littlefs write a folder's log anew, without what is out of date.

    Each look-up on the board reads the logs of all folders on its way from end to end, and each
    file that was added has left several entries. littlefs compacts a log when its block is full,
    so it is filled with an attribute of the folder's first entry: a long one while there is room
    for it, then short ones, for the last one set is what the compacted log keeps.
    """
    names = sorted(fs.listdir(folder))
    if not names:
        return
    path = f"{folder.rstrip('/')}/{names[0]}"
    flash = fs.context
    assert isinstance(flash, _Flash)
    before = flash.erases
    fs.setattr(path, "c", b"-")
    while flash.erases == before:
        room = BLOCK_SIZE - flash.end - 4 * PROGRAM_SIZE
        fs.setattr(path, "c", b"-" * max(1, min(_ATTRIBUTE_SIZE, room)))
    fs.removeattr(path, "c")


def make_image(files: Mapping[str, bytes], layout: FlashLayout) -> bytes:
    """A file system that holds `files` (absolute path -> content). Raises ImageError."""
    buffer = bytearray(b"\xff") * layout.size
    fs = _mount(buffer, layout.disk_version_word)
    code = [path for path in sorted(files) if path.startswith("/lib/")]
    for path in sorted(set(files) - set(code)):
        _put(fs, path, files[path])
    _compact(fs, "/")
    # littlefs looks for an entry from the end of the log: /lib, looked for most, comes last.
    for path in code:
        _put(fs, path, files[path])
    for folder, _, _ in list(fs.walk("/")):
        if folder != "/":
            _compact(fs, folder)
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
