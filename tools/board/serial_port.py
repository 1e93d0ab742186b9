"""The board's serial line on a pseudo-terminal, where mpremote and other tools can open it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
import tty
from pathlib import Path

from tools.board.board import Board


class SerialPort:
    """A board under power behind a serial port: `with SerialPort(board) as port: port.path`

    The power stays on however often the port is opened and closed. `machine.reset()` starts the
    chip again. Everything that the line carries is served by a thread of its own.
    """

    def __init__(self, board: Board, *, baud: int = 0, noise: int = 0) -> None:
        """baud: bits a second, ten to a byte, in either direction; 0: as fast as it goes.

        noise: the firmware's own log breaks in after so many bytes, wherever that is; 0: never.
        """
        self._board = board
        self._baud = baud
        self._noise = noise
        self._quiet = 0  # bytes since the log broke in last
        self._logged = 0
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)  # a wire: no echo, no line editing
        os.set_blocking(self._master, False)
        self._wake_read, self._wake_write = os.pipe()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="serial port", daemon=True)
        self._pending = b""
        self.error: BaseException | None = None
        """What went wrong in the simulator itself, if anything did."""

    @property
    def path(self) -> str:
        """The device to open, such as /dev/pts/3."""
        return os.ttyname(self._slave)

    @property
    def alive(self) -> bool:
        """Whether the board is under power."""
        return self._thread.is_alive()

    def type(self, data: bytes) -> None:
        """Send something to the board, as whoever has the port open could."""
        os.write(self._slave, data)

    def _take(self, data: bytes) -> bytes:
        """Let the time pass that these bytes are on the wire."""
        if self._baud:
            time.sleep(len(data) * 10 / self._baud)
        return data

    def _echo(self, data: bytes) -> None:
        if self._noise:
            data = self._disturbed(data)
        self._pending += self._take(data)
        self._flush()

    def _disturbed(self, data: bytes) -> bytes:
        """With the lines that ESP-IDF's log puts in."""
        out = b""
        while len(data) >= self._noise - self._quiet:
            at = self._noise - self._quiet
            self._logged += 1
            log = b"E (%d) wifi:sta is connecting, return error\r\n" % (1000 + 250 * self._logged)
            out += data[:at] + log
            data, self._quiet = data[at:], 0
        self._quiet += len(data)
        return out + data

    def _flush(self) -> None:
        """A reader that does not read loses what its buffer cannot hold, as with a UART."""
        while self._pending:
            try:
                self._pending = self._pending[os.write(self._master, self._pending) :]
            except BlockingIOError:
                if not select.select([], [self._master], [], 1)[1]:
                    self._pending = b""
            except OSError:
                self._pending = b""

    def _serve(self) -> None:
        try:
            with self._board.power_on(max_boots=1_000_000, echo=self._echo) as session:
                while not self._stop.is_set() and session.ending is None:
                    session.step(60, also=(self._master, self._wake_read))
                    with contextlib.suppress(BlockingIOError, OSError):
                        session.send(self._take(os.read(self._master, 64 if self._baud else 4096)))
        # Of a thread: kept for whoever closes the port to look at.
        except BaseException as e:
            self.error = e

    def close(self) -> None:
        """Cut the power and unplug the board. Safe to call again."""
        if self._stop.is_set():
            return
        self._stop.set()
        os.write(self._wake_write, b"x")
        self._thread.join(10)
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def __enter__(self) -> SerialPort:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def link(path: str, name: Path) -> None:
    """Make `name` a symbolic link to the port, so that scripts need not read its number.

    A link that an earlier run left is replaced. Raises FileExistsError for anything else, OSError
    where no link can be made.
    """
    if name.is_symlink() and str(name.readlink()).startswith("/dev/pts/"):
        name.unlink()
    try:
        name.symlink_to(path)
    except FileExistsError:
        what = "exists already, and is no link to a serial port"
        raise FileExistsError(errno.EEXIST, what, str(name)) from None
    except OSError as e:  # its own text names the port, which is not what is wrong
        raise OSError(e.errno, e.strerror, str(name)) from None


def unlink(path: str, name: Path) -> None:
    """Remove the link again, unless it has become something else."""
    if name.is_symlink() and str(name.readlink()) == path:
        name.unlink()
