"""The console's HTTP server, in the platform's own loop: the page, the API, the live stream."""

from __future__ import annotations

import json
import logging
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tools.iot_platform.console.api import PREFIX, Api
from tools.iot_platform.console.assets import SECURITY_HEADERS, assets
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.guard import Guard, address
from tools.iot_platform.console.stream import Streams
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.console.traffic import Traffic

_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}
_GOODBYE = 0.2
_logger = logging.getLogger(__name__)
_aiohttp_logger = logging.getLogger(f"{__name__}.aiohttp")


@dataclass(frozen=True)
class ConsoleSettings:
    """Where the console listens. port 0: any free one; names: further names of the host.

    token: what a visitor has to know; needed where `host` is not loopback.
    """

    host: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)


class Console:
    """`start` and `stop` in a running loop."""

    def __init__(
        self, hub: Hub, settings: ConsoleSettings, tls: ssl.SSLContext | None = None
    ) -> None:
        """tls: serve HTTPS with it. Raises ValueError when a token is missing."""
        self._settings = settings
        self._tls = tls
        self._scheme = "https" if tls else "http"
        self._guard = Guard(settings.host, settings.names, self._scheme, settings.token)
        self._traffic = Traffic()
        self._traffic.load(hub.database)
        hub.record.watch(self._traffic.note)
        self._api = Api(hub, self._traffic)
        self._streams = Streams(hub, self._traffic)
        # aiohttp logs what clients do wrong as errors of its own: not to standard error.
        _aiohttp_logger.setLevel(logging.CRITICAL)
        server = web.Server(self._handle, access_log=None, logger=_aiohttp_logger)
        self._runner = web.ServerRunner(server, shutdown_timeout=_GOODBYE)
        self.url = ""

    async def start(self) -> int:
        """Listens; returns the port. Raises OSError, naming the port that is taken."""
        self._streams.start()
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._settings.host, self._settings.port, ssl_context=self._tls
        )
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            where = f"console port {self._settings.host}:{self._settings.port}"
            raise OSError(error.errno, f"{where}: {reason}") from None
        self._guard.port = int(self._runner.addresses[0][1])
        self.url = address(self._settings.host, self._guard.port, self._scheme)
        return self._guard.port

    async def stop(self) -> None:
        """Ends the streams and closes the port."""
        self._streams.stop()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiError as error:
            return _json(error.as_json(), error.status)
        except web.HTTPRequestEntityTooLarge:
            return _json(ApiError(413, "the body is longer than 1 MiB").as_json(), 413)
        # A defect of the console: seen in its log, and a 500 to the page.
        except Exception:
            _logger.exception("the console itself failed")
            return _json(ApiError(500, "the console itself failed; see its log").as_json(), 500)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        asset = assets().get(path)
        self._guard.check(request.method, request.headers, page=asset is not None)
        reading = request.method in ("GET", "HEAD")
        if asset is not None and reading:
            if path == "/" and not self._is_known(request):
                return web.Response(status=303, headers={**SECURITY_HEADERS, "Location": "/login"})
            headers = {**SECURITY_HEADERS, **asset.headers}
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
            return web.Response(body=asset.content, headers=headers)
        if path == f"{PREFIX}login" and not reading:
            return self._login(await _body(request))
        self._guard.check_token(request.headers)
        if path == f"{PREFIX}stream" and reading:
            return await self._streams.serve(request)
        given: Mapping[str, Any] = dict(request.query) if reading else await _body(request)
        method = "GET" if reading else "POST"
        return _json(self._api.answer(method, path, given))

    def _is_known(self, request: web.BaseRequest) -> bool:
        try:
            self._guard.check_token(request.headers)
        except ApiError:
            return False
        return True

    def _login(self, body: Mapping[str, Any]) -> web.Response:
        if not self._guard.needs_token:
            return _json({"loggedIn": True})
        if not self._guard.is_token(str(body.get("token"))):
            raise ApiError(
                401, "not the token; it is in the file that the platform names", "token"
            )
        answer = _json({"loggedIn": True})
        answer.headers["Set-Cookie"] = self._guard.cookie_header()
        return answer


async def _body(request: web.BaseRequest) -> Mapping[str, Any]:
    data = await request.read()
    try:
        body = json.loads(data) if data else {}
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested to break the reader
        raise ApiError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body: expected a JSON object")
    return body


def _json(value: Any, status: int = 200) -> web.Response:
    data = json.dumps(value, separators=(",", ":")).encode()
    return web.Response(status=status, body=data, headers={**SECURITY_HEADERS, **_JSON})
