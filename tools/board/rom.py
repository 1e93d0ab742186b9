"""The chip's firmware: the simulator's own modules and those that stock firmware freezes.

They are compiled into one ROM file system that the interpreter reads in place, so that their code
takes none of the device's heap, as frozen code takes none on a chip. An interpreter named by
$MICROPYTHON gets the same files as a folder: it runs everything, but its heap holds them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tools.image.mpy import compile_source
from tools.layout import BUILD, FROZEN

CHIP = Path(__file__).parent / "chip"
ERASED = b"\xff" * 4096


def _files(frozen: Path) -> dict[str, bytes]:
    """Path in the ROM -> content."""
    files = {"erased": ERASED}
    for path in sorted(CHIP.glob("*.py")):
        # Without line numbers: the simulator's frames are hidden from tracebacks anyway.
        code = compile_source(path.read_bytes(), f"chip/{path.name}", 3)
        files[f"chip/{path.stem}.mpy"] = code
    for path in sorted(frozen.rglob("*.py")):
        name = path.relative_to(frozen)
        code = compile_source(path.read_bytes(), name.as_posix())
        files[f"frozen/{name.with_suffix('.mpy').as_posix()}"] = code
    return files


def _romfs(files: dict[str, bytes]) -> bytes:
    from mpremote.romfs import VfsRomWriter  # type: ignore[import-untyped]

    writer = VfsRomWriter()

    def add(folder: str) -> None:
        names = {path[len(folder) :].split("/")[0] for path in files if path.startswith(folder)}
        for name in sorted(names):
            path = folder + name
            if path in files:
                writer.mkfile(name, files[path])
            else:
                writer.opendir(name)
                add(path + "/")
                writer.closedir()

    add("")
    data: bytes = bytes(writer.finalise())
    return data


@functools.cache
def firmware_rom(frozen: Path = FROZEN, folder: bool = False) -> Path:
    """Build the ROM, or take it from an earlier run.

    frozen: sources of the modules that stand where stock firmware has frozen ones.
    folder: the files themselves in place of a ROM file system.
    """
    digest = hashlib.sha256(repr(folder).encode())
    for root in (CHIP, frozen):
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    target = BUILD / "board" / f"rom-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    files = _files(frozen)
    if not folder:
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(_romfs(files))
        Path(file.name).replace(target)
        return target
    made = Path(tempfile.mkdtemp(dir=target.parent))
    for name, content in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    try:
        os.rename(made, target)  # noqa: PTH104 - must fail where another process was faster
    except OSError:
        shutil.rmtree(made)
    return target
