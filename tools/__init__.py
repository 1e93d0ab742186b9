"""Host side: what runs on the engineer's machine, each `python -m tools.NAME --help`."""

import _thread
import io
import os
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType

_told = False
_lost = False


def interrupted() -> None:
    """Say that Ctrl-C ended the command; once, though it may come twice. Make says it itself."""
    global _told
    if not _told and "MAKELEVEL" not in os.environ:
        print("interrupted", file=sys.stderr)
    _told = True


def _complain(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """Ctrl-C is no defect, however early it comes."""
    if issubclass(kind, KeyboardInterrupt):
        interrupted()
    elif _lost:  # what the library makes of its callback's end is no defect either
        interrupted()
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__excepthook__(kind, error, where)


def _insist(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C in a callback of a C library, such as littlefs, would be lost: it comes again."""
    global _lost
    if unraisable.exc_type is KeyboardInterrupt:
        _lost = True
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


sys.excepthook = _complain
sys.unraisablehook = _insist
for _name, _mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
    # Closed by whoever started the command: nobody types, nobody reads.
    if getattr(sys, _name) is None:
        setattr(sys, _name, Path(os.devnull).open(_mode))  # noqa: SIM115
for _stream in (sys.stdout, sys.stderr):
    # A terminal that cannot show a character is no reason to end a command.
    if isinstance(_stream, io.TextIOWrapper) and _stream.errors == "strict":
        _stream.reconfigure(errors="backslashreplace")
