"""One process of the MicroPython unix port that plays the chip from reset to reset."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import marshal
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.board.elf import symbols
from tools.board.rom import firmware_rom
from tools.layout import FROZEN, micropython_command

LAUNCHER = Path(__file__).parent / "launch.py"
ROM_MOUNT = "/.rom"


@functools.cache
def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed: run `make setup`")
    return Path(spec.origin).parent


def _environment(folder: Path, library: int) -> dict[str, str]:
    """A clock of the process's own, which TLS reads too: an offset in the file `clock`.

    library: descriptor of libfaketime. The loader takes no path with a space or a colon in it.
    """
    return {
        "PATH": os.defpath,
        "HOME": str(folder),  # without it the library asks an interpreter's own `snprintf`
        "TZ": "UTC",
        "LD_PRELOAD": f"/proc/self/fd/{library}",
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@dataclass(frozen=True)
class Native:
    """What is bent in the interpreter's own C code; see `native`."""

    chip_heap: bool = False
    """The heap begins with 64 KiB of a chip and grows into the network's memory."""
    heap_sample: int = 0
    """Bytes of allocations between two looks at what lives on the heap, 0 for no more looks than
    there are collections."""
    negated: bool = False
    """Errors of the stream below TLS come with a minus."""


_BENT = (
    "accept close connect gc_alloc gc_collect gc_info mbedtls_ssl_free mbedtls_ssl_read "
    "mbedtls_ssl_setup mbedtls_ssl_write mp_obj_exception_make_new send socket write"
)
SHARED = "shared"
"""File of a board's folder: words that the interpreter's process shares with the host."""
SHARED_WORDS = 16
CHIP_HEAP = 64 * 1024


def _settings(folder: Path, native: Native) -> dict[str, object]:
    """For `native.install`."""
    spec = importlib.util.find_spec("micropython_run")
    assert spec is not None and spec.origin is not None
    table = symbols(Path(spec.origin))
    return {
        "slots": {name: table.slots[name] for name in _BENT.split()},
        "base": ("gc_alloc", table.values["gc_alloc"]),
        "shared": str(folder / SHARED),
        "heap": 2 * CHIP_HEAP if native.chip_heap else 0,  # of words twice as long
        "sample": native.heap_sample,
        "negated": native.negated,
    }


class Interpreter:
    """Runs until it is killed, or ends by itself. Nothing it starts outlives it or its host."""

    def __init__(
        self,
        folder: Path,
        start: dict[str, object],
        native: Native,
        heap: str | None = None,
        frozen: Path | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """
        folder: of the board. start: keyword arguments of the chip's `start()`, but for `folder`,
        `control`, `rom` and `shared`. native: does not reach an interpreter of $MICROPYTHON.
        heap: as `-X heapsize=` takes it, "64wK" being 64 KiB of a 32-bit chip. frozen: sources of
        frozen modules. options: more arguments of the interpreter.
        """
        external = "MICROPYTHON" in os.environ
        self._ctrl_c = signal.SIGINT if external else signal.SIGUSR1  # see `launch.interrupt_on`
        if external:
            chosen = micropython_command()[0]
            interpreter = shutil.which(chosen) or chosen
        else:  # the extension module itself: a third of the time its command takes to start
            interpreter = str(_package_folder("micropython_run"))
        rom = firmware_rom(frozen or FROZEN, folder=external)
        clock = os.open(
            _package_folder("libfaketime") / "vendor/libfaketime/src/libfaketime.so.1", os.O_RDONLY
        )
        control_read, control_write = os.pipe()
        lifeline_read, self._lifeline = os.pipe()
        values = {"folder": str(folder), "control": control_write, "rom": ROM_MOUNT, **start}
        given = ",".join(f"{name}={value!r}" for name, value in values.items())
        settings = "" if external else marshal.dumps(_settings(folder, native)).hex()
        if native.chip_heap:
            heap = f"{2 * CHIP_HEAP // 1024}wK"
        source = (
            f"import sys,uctypes,vfs;vfs.mount({{rom}},{ROM_MOUNT!r});"
            f"sys.path[:]=[{ROM_MOUNT + '/chip'!r}];"
            f"__import__('start').start(shared={{shared}},{given})"
        )
        options = ("-i", *(("-X", f"heapsize={heap}") if heap else ()), *options)
        launcher = [
            sys.executable,
            "-I",
            "-S",
            str(LAUNCHER),
            str(lifeline_read),
            str(rom),
            settings,
        ]
        try:
            self._process = subprocess.Popen(
                [*launcher, interpreter, *options, source],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(control_write, lifeline_read, clock),
                env=_environment(folder, clock),
                start_new_session=True,
                bufsize=0,
            )
        # Whatever it is, Ctrl-C too, goes on; only the descriptors must not stay.
        except BaseException:
            os.close(control_read)
            os.close(self._lifeline)
            raise
        finally:
            os.close(control_write)
            os.close(lifeline_read)
            os.close(clock)
        assert self._process.stdout is not None and self._process.stdin is not None
        self._output = self._process.stdout.fileno()
        self._input = self._process.stdin.fileno()
        self._control = control_read
        self._half_message = b""
        self._open = {self._output, self._control}
        self._poll = select.poll()
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether the power has not been cut yet; the process may have ended by itself."""
        return self._lifeline >= 0

    @property
    def ended(self) -> bool:
        """Whether everything that the process ever said has been read."""
        return not self._open

    def read(self, timeout: float, also: Sequence[int] = ()) -> tuple[bytes, list[str]]:
        """What came on the serial line and on the control pipe, waiting at most `timeout` s.

        also: descriptors that end the wait too; nothing is read from them.
        """
        output, messages = b"", b""
        for descriptor in also:
            self._poll.register(descriptor, select.POLLIN)
        ready = self._poll.poll(max(0, timeout) * 1000)
        for descriptor in also:
            self._poll.unregister(descriptor)
        for descriptor, _ in ready:
            if descriptor not in self._open:
                continue
            data = os.read(descriptor, 65536)
            if not data:
                self._poll.unregister(descriptor)
                self._open.discard(descriptor)
            elif descriptor == self._output:
                output += data
            else:
                messages += data
        *whole, self._half_message = (self._half_message + messages).split(b"\n")
        return output, [message.decode() for message in whole]

    def write(self, data: bytes) -> None:
        """Put bytes on the serial line. A dead process takes them as a dead chip does."""
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._input, data) :]

    def died_of(self) -> str | None:
        """Name of the signal that an interpreter which has ended died of, or None."""
        status = self._process.wait(5)
        return signal.Signals(-status).name if status < 0 else None

    @property
    def executing(self) -> bool:
        """Whether Python code runs, so that Ctrl-C must be a signal; at a prompt it is a byte.

        The interpreter handles SIGINT exactly while it executes something.
        """
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return False
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)

    def interrupt(self) -> None:
        """Ctrl-C. The process stands still meanwhile: at a prompt the signal would kill it."""
        if self._process.poll() is not None:
            return
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            if self.executing:
                os.kill(self._process.pid, self._ctrl_c)
            else:
                self.write(b"\x03")
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Cut the power. Safe to call at any time and again."""
        if not self.alive:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for name in ("faketime_shm", "sem.faketime_sem"):  # what libfaketime could not remove
            (Path("/dev/shm") / f"{name}_{self._process.pid}").unlink(missing_ok=True)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        os.close(self._control)
        os.close(self._lifeline)
        self._lifeline = -1
        self._open.clear()
