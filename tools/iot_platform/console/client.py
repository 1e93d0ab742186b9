"""The API as the commands use it: of a running platform, or in this process on its database."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from tools.iot_platform.console.api import PREFIX, Api
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.place import Place

_TIMEOUT = 30.0


class ClientError(Exception):
    """What was asked for cannot be done; the text is for the person at the keyboard."""


class Client(Protocol):
    """path: parts below /api/, which are quoted where needed. Both raise ClientError."""

    running: bool
    """Whether a platform runs behind it."""

    def get(self, *path: str, **query: Any) -> Any:
        """Reads; None and False in the query are left out."""

    def post(self, *path: str, **body: Any) -> Any:
        """Changes."""


class Remote:
    """A running platform's console."""

    running = True

    def __init__(self, place: Place) -> None:
        """Raises ClientError for a URL that is none."""
        parts = urlsplit(place.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ClientError(f"{place.url!r}: expected the URL that `make platform` prints")
        self._place = place
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (
            ssl.create_default_context(cadata=place.ca) if parts.scheme == "https" else None
        )

    def get(self, *path: str, **query: Any) -> Any:
        """As `Client.get`."""
        return self._ask("GET", path, _query(query))

    def post(self, *path: str, **body: Any) -> Any:
        """As `Client.post`."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: tuple[str, ...], given: Mapping[str, Any]) -> Any:
        where = PREFIX + "/".join(quote(part, safe="@:") for part in path)
        headers, body = {}, None
        if method == "POST":
            headers["Content-Type"] = "application/json"
            body = json.dumps(given)
        elif given:
            where += "?" + urlencode(given)
        if self._place.token is not None:
            headers["Authorization"] = f"Bearer {self._place.token}"
        try:
            connection = self._connection()
            try:
                connection.request(method, where, body, headers)
                answer = connection.getresponse()
                status, data = answer.status, answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ClientError(f"{self._place.url}: {reason}") from None
        return self._read(status, data)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT, context=self._tls
        )

    def _read(self, status: int, data: bytes) -> Any:
        try:
            value = json.loads(data)
            error = value["error"] if status != 200 else None
        except (ValueError, KeyError, TypeError):
            raise ClientError(f"{self._place.url}: HTTP {status}; no console there?") from None
        if error is not None:
            raise ClientError(_words(error))
        return value


class Local:
    """The API on a database, without a platform that runs."""

    running = False

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, *path: str, **query: Any) -> Any:
        """As `Client.get`."""
        return self._ask("GET", path, _query(query))

    def post(self, *path: str, **body: Any) -> Any:
        """As `Client.post`."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: tuple[str, ...], given: Mapping[str, Any]) -> Any:
        try:
            return self._api.answer(method, PREFIX + "/".join(path), given)
        except ApiError as error:
            raise ClientError(_words(error.as_json()["error"])) from None


def _query(given: Mapping[str, Any]) -> dict[str, str]:
    wanted = {k: v for k, v in given.items() if v is not None and v is not False}
    return {k: "true" if v is True else str(v) for k, v in wanted.items()}


def _words(error: Mapping[str, Any]) -> str:
    lines = [f"  line {entry['line']}: {entry['message']}" for entry in error.get("lines", [])]
    field = f"{error['field']}: " if "field" in error else ""
    return "\n".join([f"{field}{error['message']}", *lines[1:]])
