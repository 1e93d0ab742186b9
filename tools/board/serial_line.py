"""What a board sends on its serial line, as the chip's firmware would show it."""

from __future__ import annotations

from collections.abc import Callable

PROMPT = b">>> "
_RAW_REPL = b"raw REPL; CTRL-B to exit\r\n>"
_FRIENDLY_REPL = b'\r\nType "help()"'
_MUTE = b"\x16\x16"
"""Printed by the chip before a friendly REPL that the firmware would not show."""


class SerialLine:
    """Collects output over all the resets of one power cycle.

    A soft reset out of the raw REPL leads back into it, but the simulator's interpreter can only
    start with a friendly REPL. It is then sent on to the raw one, and what it prints in between is
    dropped here.
    """

    def __init__(self, echo: Callable[[bytes], None] | None = None) -> None:
        """echo: called with each piece of output."""
        self.raw = b""
        self._echo = echo
        self._held: bytes | None = None  # output held back until the raw REPL is there

    def expect(self, raw_repl: bool) -> None:
        """The interpreter starts, in the end with the raw or with the friendly REPL."""
        self._held = b"" if raw_repl else None

    @property
    def wants_raw_repl(self) -> bool:
        """Whether the interpreter still has to be sent on to the raw REPL."""
        return self._held is not None

    @property
    def in_raw_repl(self) -> bool:
        """Whether the last REPL that appeared is the raw one."""
        return self.raw.rfind(_RAW_REPL) > self.raw.rfind(_FRIENDLY_REPL)

    def text(self, since: int = 0) -> str:
        """The output from byte `since` on, with line ends as "\\n"."""
        return self.raw[since:].decode("utf-8", "replace").replace("\r\n", "\n")

    def receive(self, data: bytes) -> None:
        """Add output, with the chip's line ends."""
        if self._held is not None:
            data, mark, after = (self._held + data).partition(_MUTE)
            _, end, rest = after.partition(_RAW_REPL)
            if end:
                self._held = None
                data += end + rest
            elif mark:
                self._held = mark + after
            else:  # half of the mark may have come
                self._held = _MUTE[:1] if data.endswith(_MUTE[:1]) else b""
                data = data[: len(data) - len(self._held)]
        if not data:
            return
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if self.raw.endswith(b"\r") and data.startswith(b"\r\n"):
            data = data[1:]
        self.raw += data
        if self._echo is not None:
            self._echo(data)
