"""Payloads as text for a reader, without the secrets that some of them carry."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable
from typing import Any

PREVIEW = 1024
"""Bytes of a payload that are kept and shown."""
MASK = "••••••••"
_SHORTEST = 6
"""Characters of a secret that is looked for everywhere: a shorter one would mask much else."""
# Also inside a text that is JSON itself, where each quote has backslashes before it.
_MEMBER = re.compile(
    r'"(?:(?:device|product)?secret|device_?token|token|password|passwd|sign)(\\{0,15})"'
    r'\s{0,15}:\s{0,15}\1"',
    re.IGNORECASE,
)
_TEXT = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*")


def payload_json(payload: bytes, size: int, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """A payload for the page: its text, or hex where it is none; values of secrets masked.

    payload: up to PREVIEW bytes; size: of the whole. secrets: further texts to mask.
    """
    cut = size > len(payload)
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            payload = _without(payload, secret.encode(), cut)
    text = _decode(payload, cut)
    if text is None:
        return {"hex": payload.hex(" "), "size": size, "cut": cut}
    return {"text": mask_members(text), "size": size, "cut": cut}


def mask_members(text: str) -> str:
    """Text with the values of members that hold secrets masked."""
    pieces, at = [], 0
    while match := _MEMBER.search(text, at):
        pieces += [text[at : match.end()], MASK]
        at = _end_of_value(text, match.end(), match[1])
    return "".join([*pieces, text[at:]])


def _end_of_value(text: str, start: int, escape: str) -> int:
    """Where the closing quote begins, with its backslashes; where there is none, the end."""
    at = start
    while (quote := text.find('"', at)) >= 0:
        backslashes = 0
        while quote - backslashes > start and text[quote - backslashes - 1] == "\\":
            backslashes += 1
        if backslashes <= len(escape):  # a quote in the value has more
            return quote - backslashes
        at = quote + 1
    return len(text)


def _without(payload: bytes, secret: bytes, cut: bool) -> bytes:
    masked = payload.replace(secret, MASK.encode())
    if cut:  # it may be what is cut in two
        for length in range(len(secret) - 1, 3, -1):
            if masked.endswith(secret[:length]):
                return masked[:-length] + MASK.encode()
    return masked


def _decode(payload: bytes, cut: bool) -> str | None:
    # The cut may have hit a character of several bytes in the middle.
    try:
        text = getincrementaldecoder("utf-8")().decode(payload, final=not cut)
    except UnicodeDecodeError:
        return None
    return text if _TEXT.fullmatch(text) else None
