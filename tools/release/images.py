"""dist/images: file systems without secrets, one for each size that a stock partition has.

They hold the package, boot.py, main.py and the trust roots; product.json and wifi.json are put on
the board afterwards: `mpremote cp product.json wifi.json :`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.image import FlashLayout, image_files, make_image, stock_layout
from tools.release.contents import Release
from tools.release.mip import compiled

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """A size of the partition `vfs`, and the boards that have it."""

    layout: FlashLayout
    boards: str

    @property
    def name(self) -> str:
        return f"{self.layout.size // _MEBIBYTE}MiB"


SIZES = (
    Size(stock_layout(4 * _MEBIBYTE), "4 MB of flash; any flash with MicroPython before 1.26"),
    Size(stock_layout(8 * _MEBIBYTE), "8 MB of flash, MicroPython 1.26 or later"),
    Size(stock_layout(16 * _MEBIBYTE), "16 MB of flash, MicroPython 1.26 or later"),
)


def image_name(release: Release, size: Size, gateway: bool = False) -> str:
    """File name of an image."""
    return release.name(("gateway-" if gateway else "") + size.name, ".bin")


def write_images(folder: Path, release: Release) -> None:
    """Write the images for direct devices and for gateways. Raises IMAGE_ERRORS."""
    folder.mkdir(parents=True)
    for gateway in (False, True):
        code = compiled(False) | (compiled(True) if gateway else {})
        content = image_files(
            lib=None,
            built=release.time,
            files={f"/lib/{path}": data for path, data in code.items()},
            gateway=gateway,
        )
        for size in SIZES:
            image = make_image(content, size.layout)
            (folder / image_name(release, size, gateway)).write_bytes(image)
