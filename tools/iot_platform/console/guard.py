"""Who may ask the console: checked on every request, before anything is done.

A page of another site that a browser on this machine shows can send requests here, too, and by a
name of its own that leads to this address (DNS rebinding) even read the answers. Host and Origin
tell it from the console's own page; a change is only taken as JSON, which another site's form
cannot send.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Protocol

from tools.iot_platform.console.errors import ApiError

COOKIE = "iot-platform-console"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_READING = ("GET", "HEAD")


class Headers(Protocol):
    """What is read of a request's headers."""

    def getall(self, key: str, default: Sequence[str]) -> Sequence[str]:
        """All values of a header."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int, scheme: str) -> str:
    """The URL of the console that listens there."""
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


class Guard:
    """Checks requests. A refusal is an ApiError."""

    def __init__(self, host: str, names: Sequence[str], scheme: str, token: str | None) -> None:
        """host: what is listened on; names: by which it is reached, too; token: None: none needed.

        Raises ValueError: without a token nothing but loopback will do.
        """
        if token is None and not is_loopback(host):
            raise ValueError(f"console {host}: needs a token, for it is not loopback")
        self._names = {*_LOOPBACK_NAMES, host.lower(), *(name.lower() for name in names)}
        # No other site can have an address as its name: it need not be known beforehand.
        self._any_address = host in ("0.0.0.0", "::")
        self._scheme = scheme
        self._token = token
        self.port = 0

    @property
    def needs_token(self) -> bool:
        """Whether a visitor has to log in."""
        return self._token is not None

    def check(self, method: str, headers: Headers, *, page: bool) -> None:
        """Host, Origin, method, content type. page: of the page's own files, no data."""
        host = _single(headers, "Host")
        if host is None or not self._is_ours(host):
            raise ApiError(403, "Host: expected the console's own address, or a --name")
        origin = _single(headers, "Origin")
        if origin is not None and origin.lower() != f"{self._scheme}://{host}".lower():
            raise ApiError(403, "Origin: requests of other sites are refused")
        site = _single(headers, "Sec-Fetch-Site")
        if site not in (None, "same-origin", "none"):
            # A link from elsewhere may open the page.
            opened = page and _single(headers, "Sec-Fetch-Mode") == "navigate"
            if method not in _READING or not opened:
                raise ApiError(403, "Sec-Fetch-Site: requests of other sites are refused")
        if method not in (*_READING, "POST"):
            raise ApiError(405, f"{method[:16]} is not used here; read with GET, change with POST")
        if method == "POST":
            kind = (_single(headers, "Content-Type") or "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise ApiError(415, "Content-Type: expected application/json")

    def check_token(self, headers: Headers) -> None:
        """The token, as a bearer or by the cookie of a login. Raises ApiError 401."""
        if self._token is None:
            return
        scheme, _, given = (_single(headers, "Authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return
        for text in headers.getall("Cookie", ()):
            try:
                morsel = SimpleCookie(text).get(COOKIE)
            except CookieError:
                continue
            if morsel is not None and _equal(morsel.value, self.cookie()):
                return
        raise ApiError(401, "log in with the token first", "token")

    def is_token(self, given: str) -> bool:
        """Whether a text is the token."""
        return self._token is not None and _equal(given, self._token)

    def cookie(self) -> str:
        """What the cookie of a login holds: not the token itself."""
        assert self._token is not None
        return hmac.new(self._token.encode(), b"console login", hashlib.sha256).hexdigest()

    def cookie_header(self) -> str:
        """Set-Cookie after a login."""
        secure = "; Secure" if self._scheme == "https" else ""
        return f"{COOKIE}={self.cookie()}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def _is_ours(self, host: str) -> bool:
        name, port = _split(host.lower())
        if port != self.port:
            return False
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _split(host: str) -> tuple[str, int | None]:
    """Name and port of a Host header; no port where there is none, or no number."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    return name, int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else None


def _single(headers: Headers, name: str) -> str | None:
    """A header's value, or None. Raises ApiError when it is there twice."""
    values = headers.getall(name, ())
    if len(values) > 1:
        raise ApiError(400, f"{name}: more than one")
    return values[0] if values else None


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
