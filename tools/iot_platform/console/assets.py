"""The page's files, read once. Nothing else of the disk is served."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_PAGES = Path(__file__).parent / "pages"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "console",
}
"""Of every answer: what is served runs no script but the page's own, in no other site's frame."""


@dataclass(frozen=True)
class Asset:
    """A file as it is served."""

    content: bytes = field(repr=False)
    headers: dict[str, str]


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """The files by path: "/" and "/login" are pages, the others lie under /pages/."""
    found = {}
    for path in sorted(_PAGES.iterdir()):
        if path.suffix not in _TYPES:
            continue
        content = path.read_bytes()
        headers = {
            "Content-Type": _TYPES[path.suffix],
            "Cache-Control": "no-cache",
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        }
        where = {"index.html": "/", "login.html": "/login"}.get(path.name, f"/pages/{path.name}")
        found[where] = Asset(content, headers)
    return found
