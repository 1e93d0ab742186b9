"""Becomes the interpreter: `python -I -S launch.py PIPE ROM NATIVE INTERPRETER OPTION... SOURCE`.

Runs as a process of its own, with as little of CPython as possible, since it is started for every
boot. Five things cannot be done from outside: the process must die with its host; the ROM file
must lie in memory outside of MicroPython's heap, as on the chip; Ctrl-C must come between two
bytecodes, as on the chip; the interpreter from PyPI is an extension module of CPython; and its C
code must be bent to what the chip's does (`native`).

PIPE: file descriptor whose other end only the host holds. ROM: file of the ROM file system, or a
folder for an interpreter that cannot read ours. NATIVE: marshalled settings of `native.install`,
in hexadecimal. INTERPRETER: folder of the extension module, or an executable file. SOURCE: what
to run; the first `{rom}` in it becomes the expression that yields the ROM, the first `{shared}`
the address of the memory that chip and host share, 0 with an executable file.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import signal
import sys

F_SETSIG = 10  # Linux; the fcntl module has no name for it on every build


def interrupt_on(number: int, module: str) -> None:
    """Let this signal be Ctrl-C: raised where MicroPython next looks for pending exceptions.

    Its own handler, of SIGINT, raises at once, be it in the middle of littlefs or of a garbage
    collection, which are then broken. module: file of the extension module.
    """
    import ctypes

    handler = ctypes.cast(ctypes.CDLL(module).mp_sched_keyboard_interrupt, ctypes.c_void_p)
    c = ctypes.CDLL(None)
    c.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    c.signal(number, handler)
    c.siginterrupt(number, 1)  # a call that waits ends, so that it comes to look


def main(
    pipe: int, rom: str, native: str, interpreter: str, options: list[str], source: str
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until MicroPython listens
    # When the host ends, by whatever cause, the pipe breaks and the kernel kills this process.
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        if "libfaketime" not in maps.read():
            sys.exit("libfaketime was not loaded: the board would have the host's clock")
    if os.path.isdir(rom):  # noqa: PTH112 - pathlib would double the time that this takes
        source = source.replace("{rom}", f"vfs.VfsPosix({rom!r})", 1).replace("{shared}", "0", 1)
        os.execv(interpreter, [interpreter, *options, "-c", source])
    # libfaketime's shared memory would outlive a process that is killed; nobody shares it here.
    for name in (f"faketime_shm_{os.getpid()}", f"sem.faketime_sem_{os.getpid()}"):
        with contextlib.suppress(OSError):
            os.unlink("/dev/shm/" + name)  # noqa: PTH108
    for variable in ("LD_PRELOAD", "FAKETIME_SHARED"):  # children need no clock
        os.environ.pop(variable, None)
    with open(rom, "rb") as file:  # noqa: PTH123
        data = file.read()
    address = id(data) + sys.getsizeof(b"") - 1  # of the first byte of a bytes object
    expression = f"vfs.VfsRom(uctypes.bytearray_at({address},{len(data)}))"
    source = source.replace("{rom}", expression, 1)
    sys.path.insert(0, interpreter)
    import micropython_run  # type: ignore[import-not-found]

    interrupt_on(signal.SIGUSR1, micropython_run.__file__)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/native")  # noqa: PTH100, PTH120
    from install import install  # type: ignore[import-not-found]

    shared = install(micropython_run.__file__, marshal.loads(bytes.fromhex(native)))
    source = source.replace("{shared}", str(shared), 1)
    micropython_run.run_main(["micropython", *options, "-c", source])


if __name__ == "__main__":
    pipe, rom, native, interpreter, *options, source = sys.argv[1:]
    main(int(pipe), rom, native, interpreter, options, source)
