"""Builds a board's flash image: a littlefs2 file system with code, trust roots and records."""

from tools.image.build import build_image, image_files
from tools.image.filesystem import ImageError, list_files, make_image, read_file, write_file
from tools.image.layout import BLOCK_SIZE, FlashLayout, LayoutError, parse_size, stock_layout
from tools.image.mpy import CompileError, compile_source
from tools.image.records import RecordError
from tools.image.roots import Root, RootError, load_root, shipped_roots
from tools.version import package_version

IMAGE_ERRORS = (CompileError, ImageError, LayoutError, RecordError, RootError)
"""What can be wrong with what an image is made of; the text of each is one sentence on it."""

__all__ = [
    "BLOCK_SIZE",
    "IMAGE_ERRORS",
    "CompileError",
    "FlashLayout",
    "ImageError",
    "LayoutError",
    "RecordError",
    "Root",
    "RootError",
    "build_image",
    "compile_source",
    "image_files",
    "list_files",
    "load_root",
    "make_image",
    "package_version",
    "parse_size",
    "read_file",
    "shipped_roots",
    "stock_layout",
    "write_file",
]
