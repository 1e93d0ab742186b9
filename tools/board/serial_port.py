"""The board's serial line on a pseudo-terminal, where mpremote and other tools can open it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import tty
from pathlib import Path

from tools.board.board import Board


class SerialPort:
    """A board under power behind a serial port: `with SerialPort(board) as port: port.path`

    The power stays on however often the port is opened and closed. `machine.reset()` starts the
    chip again. Everything that the line carries is served by a thread of its own.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
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

    def _echo(self, data: bytes) -> None:
        self._pending += data
        self._flush()

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
                        session.send(os.read(self._master, 4096))
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

    A link that an earlier run left is replaced. Raises FileExistsError for anything else.
    """
    if name.is_symlink() and str(name.readlink()).startswith("/dev/pts/"):
        name.unlink()
    try:
        name.symlink_to(path)
    except FileExistsError:
        what = "exists already, and is no link to a serial port"
        raise FileExistsError(errno.EEXIST, what, str(name)) from None


def unlink(path: str, name: Path) -> None:
    """Remove the link again, unless it has become something else."""
    if name.is_symlink() and str(name.readlink()) == path:
        name.unlink()
