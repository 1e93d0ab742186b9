"""Where a running console is, for the commands: a file that only this user can read."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from tools.private import write_private

NAME = "console.json"
_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class Place:
    """url: of the console; token: if it wants one; ca: its root certificate, PEM, for HTTPS."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)

    def write(self, path: Path) -> None:
        """Keeps it. Raises OSError."""
        kept = {name: value for name, value in vars(self).items() if value is not None}
        write_private(path, json.dumps(kept, indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> Place:
        """Reads it again. Raises OSError, and ValueError for a file that is none."""
        try:
            kept = json.loads(path.read_text("utf-8"))
            return cls(str(kept["url"]), kept.get("token"), kept.get("ca"))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{path}: not what a running platform writes there") from None


def token_of(path: Path) -> str:
    """The token in a file, made if absent. Raises OSError, and ValueError for a short one."""
    if not path.exists():
        write_private(path, (secrets.token_urlsafe(24) + "\n").encode())
    token = path.read_text("utf-8").strip()
    if len(token) < _TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
        raise ValueError(f"{path}: expected a token of {_TOKEN_CHARACTERS} characters or more")
    return token
