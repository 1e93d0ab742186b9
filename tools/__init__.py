"""Host side: what runs on the engineer's machine, each `python -m tools.NAME --help`."""

import io
import sys
from types import TracebackType


def _complain(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """Ctrl-C is no defect, however early it comes."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, where)


sys.excepthook = _complain
for _stream in (sys.stdout, sys.stderr):
    # A terminal that cannot show a character is no reason to end a command.
    if isinstance(_stream, io.TextIOWrapper) and _stream.errors == "strict":
        _stream.reconfigure(errors="backslashreplace")
