"""How a command asks and ends: its questions, its exit status, one line on what is wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console

from tools import interrupted

USAGE = 2
"""Exit status for a command that lacks something only its user can give, as of argparse."""


READER_LEFT = 128 + signal.SIGPIPE
"""Exit status where `| head` had enough, as of a program that the signal ends."""


class UsageError(Exception):
    """An option or an answer is missing; the text says which."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: whatever cleans up does so on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def run(work: Callable[[], int], *expected: type[Exception]) -> int:
    """Do `work` and return its exit status: 1 after an error, 2 where the user has to say more.

    130 after Ctrl-C, 128 and the signal's number after SIGTERM and SIGHUP.
    expected: exceptions whose text is a sentence for the person at the keyboard.
    """
    try:
        with _signals():
            return work()
    except UsageError as e:
        print(f"error: {e}", file=sys.stderr)
        return USAGE
    except expected as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        if reader_left(e):
            return READER_LEFT
        what = f"{e.filename}: {e.strerror}" if e.filename is not None else str(e)
        print(f"error: {what}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        interrupted()
        return 130
    except Terminated as e:
        print(f"error: {e}", file=sys.stderr)
        return 128 + e.number


def reader_left(error: Exception) -> bool:
    """Whether an error is only that nobody reads the output any more; then it is let go."""
    if not isinstance(error, BrokenPipeError):
        return False
    stdout = select.poll()
    stdout.register(sys.stdout, 0)
    if not any(event & select.POLLERR for _, event in stdout.poll(0)):
        return False  # it was another pipe's
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does, so that all is cleaned up."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = (signal.SIGTERM, signal.SIGHUP)
    # One that is ignored stays so: nohup asks for it.
    before = {n: signal.getsignal(n) for n in caught if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def confirm(console: Console, question: str, instead: str) -> bool:
    """Ask before something is lost. instead: the option that answers yes beforehand.

    Raises UsageError where nobody is there to answer.
    """
    try:
        return console.input(f"{question} \\[y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        raise UsageError(
            f'no answer to "{question}"; nothing was changed. {instead} answers it with yes'
        ) from None


def count(number: int, noun: str) -> str:
    """ "1 unit", "2 units", "10,000 units"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def file_name(text: str) -> Path:
    """The type of an option that names a file or folder: an empty word is a mistake, not "."."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a file name, got an empty word")
    return Path(text)
