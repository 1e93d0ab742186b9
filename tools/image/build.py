"""Puts a board's flash image together."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec

from tools.image.filesystem import make_image
from tools.image.gateway import chosen
from tools.image.layout import FlashLayout
from tools.image.mpy import compile_source
from tools.image.records import BOM, parse, plain, with_check
from tools.image.roots import load_root, shipped_roots
from tools.image.rules import check_device, check_product, check_wifi
from tools.layout import LIB, ROOT
from tools.version import package_version

Record = Path | bytes | Mapping[str, Any] | None
"""A JSON file: its path, its bytes, or what it says; None: not on the board."""

Source = Path | bytes | str | None
"""Device code: a path, or the text itself; None: not on the board."""

Given = ParamSpec("Given")


def build_time() -> int:
    """Unix time that goes into the image; SOURCE_DATE_EPOCH makes images reproducible."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))


def compiled_library(lib: Path, optimise: int = 0) -> dict[str, bytes]:
    """Path on the board -> .mpy, for every module below `lib`. Raises CompileError."""
    return {
        f"/lib/{path.relative_to(lib).with_suffix('.mpy').as_posix()}": compile_source(
            path.read_bytes(), path.name, optimise
        )
        for path in sorted(lib.rglob("*.py"))
    }


def _source(source: Path | bytes | str) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    return source.encode() if isinstance(source, str) else source


def _record(
    record: Path | bytes | Mapping[str, Any],
    name: str,
    check: Callable[[Mapping[str, Any], str], None] | None,
) -> bytes:
    file = str(record) if isinstance(record, Path) else name
    if isinstance(record, Mapping):
        content = json.dumps(record, separators=(",", ":")).encode()
    else:
        content = record.read_bytes() if isinstance(record, Path) else record
    if check is None:
        return content
    said = parse(file, content)
    check(said, file)
    return plain(said) if b"\\u" in content else content.removeprefix(BOM)


def image_files(
    product: Record = None,
    wifi: Record = None,
    device: Record = None,
    *,
    boot: Source = ROOT / "boot.py",
    main: Source = ROOT / "main.py",
    lib: Path | None = LIB,
    roots: Iterable[Path | bytes] | None = None,
    files: Mapping[str, bytes | str] | None = None,
    built: int | None = None,
    check: bool = True,
    optimise: int = 0,
    gateway: bool | None = None,
) -> dict[str, bytes]:
    """What lies on the board: absolute path -> content.

    product, wifi, device: the JSON files, checked first unless `check` is false.
    boot, main: the scripts. lib: folder whose modules are compiled to /lib.
    roots: certificate files, or DER bytes (which become /roots/<number>.der); None takes those in
    firmware/roots/, an empty list none. files: anything else, absolute path -> content; wins.
    built: Unix time in /build.json, the least that the board's clock is set to; now by default.
    optimise: of mpy-cross; 0 keeps line numbers, 3 drops them.
    gateway: whether aliyun_iot.gateway is on it; None: if /main.py imports it.

    Raises RecordError, RootError, CompileError, each with a message for the user.
    """
    content: dict[str, bytes] = {}
    if boot is not None:
        content["/boot.py"] = _source(boot)
    if main is not None:
        content["/main.py"] = _source(main)
    if lib is not None:
        content.update(compiled_library(lib, optimise))
    for number, root in enumerate(shipped_roots() if roots is None else roots):
        if isinstance(root, bytes):
            content[f"/roots/{number}.der"] = root
        else:
            loaded = load_root(root)
            content[f"/roots/{loaded.name}"] = loaded.der
    for name, record, checker in (
        ("product.json", product, check_product),
        ("device.json", device, check_device),
        ("wifi.json", wifi, check_wifi),
    ):
        if record is not None:
            content["/" + name] = _record(record, name, checker if check else None)
    if check and product is not None:
        content["/product.json"] = plain(with_check(json.loads(content["/product.json"])))
    stamp = {"time": build_time() if built is None else built, "version": package_version()}
    content["/build.json"] = json.dumps(stamp, separators=(",", ":")).encode()
    content = chosen(content, gateway)
    for path, text in (files or {}).items():
        content[path] = _source(text)
    return content


def _made(files: Callable[Given, dict[str, bytes]]) -> Callable[Given, bytes]:
    def build(*args: Given.args, **kwargs: Given.kwargs) -> bytes:
        return make_image(files(*args, **kwargs), FlashLayout())

    return build


build_image = _made(image_files)
"""The littlefs2 image of those files, for 4 MB of flash with stock firmware.

For another layout see `make_image`, whose ImageError it raises too.
"""
