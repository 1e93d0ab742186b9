"""A client for the console's API with which a test can set every header."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from platform_clients import DEADLINE, GATEWAY, PK, PS, SUB, Answer

from tools.iot_platform import LocalPlatform
from tools.iot_platform.console.server import ConsoleSettings


class ConsoleClient:
    """Sends requests to a console. url: that of its page."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 0
        self._tls = tls

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request with only these headers and Host."""
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        else:
            connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=DEADLINE, context=self._tls
            )
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def get(self, *path: str, **query: Any) -> Any:
        """The JSON answer to a GET, which must succeed."""
        answer = self.try_get(*path, **query)
        assert answer.status == 200, answer.body
        return answer.json

    def try_get(self, *path: str, **query: Any) -> Answer:
        """The answer to a GET."""
        text = f"?{urlencode(query)}" if query else ""
        return self.ask("GET", _path(path) + text)

    def post(self, *path: str, **body: Any) -> Any:
        """The JSON answer to a POST, which must succeed."""
        answer = self.try_post(*path, **body)
        assert answer.status == 200, answer.body
        return answer.json

    def try_post(self, *path: str, **body: Any) -> Answer:
        """The answer to a POST."""
        return self.ask(
            "POST", _path(path), json.dumps(body), {"Content-Type": "application/json"}
        )

    @staticmethod
    def error(answer: Answer) -> tuple[int, str | None, str]:
        """Status, field and message of a refusal."""
        error = answer.json["error"]
        return answer.status, error.get("field"), error["message"]

    @contextmanager
    def stream(self, last_id: str | None = None) -> Iterator[Iterator[tuple[str, str, Any]]]:
        """The live stream: the (event, id, data) of each message."""
        with socket.create_connection((self.host, self.port), DEADLINE) as connection:
            again = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
            host = f"Host: {self.host}:{self.port}\r\n"
            connection.sendall(f"GET /api/stream HTTP/1.1\r\n{host}{again}\r\n".encode())
            with connection.makefile("rb") as lines:
                assert b" 200 " in lines.readline()
                yield _messages(lines)


def _messages(lines: Any) -> Iterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.decode().rstrip("\r\n").partition(": ")
        if separator and name in ("event", "id", "data"):
            fields[name] = value
        elif not name and fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def _path(parts: tuple[str, ...]) -> str:
    return "/api/" + "/".join(quote(part, safe="@:") for part in parts)


@pytest.fixture
def hub() -> Iterator[LocalPlatform]:
    """A platform with a console and products for devices, gateways and sub-devices."""
    with LocalPlatform(console=ConsoleSettings()) as running:
        running.registry.add_product(PK, PS)
        running.registry.add_product(GATEWAY, node_type="gateway")
        running.registry.add_product(SUB, dynamic_registration=False)
        yield running


@pytest.fixture
def console(hub: LocalPlatform) -> ConsoleClient:
    return ConsoleClient(hub.console_url)
