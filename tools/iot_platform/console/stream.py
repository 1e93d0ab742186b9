"""The live stream: server-sent events, a few messages a second however busy the platform is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from tools.iot_platform.console.assets import SECURITY_HEADERS
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.console.traffic import Traffic
from tools.iot_platform.console.traffic_requests import TrafficRequests

_PAUSE = 0.25
"""Seconds between two messages: what happens in between goes out together."""
_QUIET = 15.0
"""Seconds after which a stream without news sends a comment, to notice that nobody is there."""
_MOST_STREAMS = 32
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


class Streams:
    """Pages that are open."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._traffic = traffic
        self._requests = TrafficRequests(hub, traffic)
        self._open: set[asyncio.Event] = set()
        self._woken = False
        self._stopped = False

    def start(self) -> None:
        """Takes news from now on, in the running loop."""
        loop = asyncio.get_running_loop()

        def wake_all() -> None:
            self._woken = False
            for news in self._open:
                news.set()

        def wake() -> None:  # in any thread, and often
            if self._open and not self._woken:
                self._woken = True
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(wake_all)

        self._traffic.wake_with(wake)

    def stop(self) -> None:
        """Ends all streams."""
        self._stopped = True
        for news in self._open:
            news.set()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Sends what is new until the page goes away.

        The id of a message is the number of the last entry in it; with Last-Event-ID a browser
        that lost the connection asks for what came since. Raises ApiError 503.
        """
        if len(self._open) >= _MOST_STREAMS:
            raise ApiError(503, f"{_MOST_STREAMS} pages are open already: close one")
        since = self._first(request)
        answer = web.StreamResponse(headers={**SECURITY_HEADERS, **_HEADERS})
        news = asyncio.Event()
        self._open.add(news)
        try:
            await answer.prepare(request)
            await answer.write(self._message("hello", {"lastEvent": since}, since))
            while not self._stopped:
                if self._traffic.last > since:
                    found = self._requests.news(since)
                    since = found["lastEvent"]
                    await answer.write(self._message("news", found, since))
                    await asyncio.sleep(_PAUSE)
                    continue
                news.clear()
                try:
                    await asyncio.wait_for(news.wait(), _QUIET)
                except asyncio.TimeoutError:  # another class in 3.10
                    await answer.write(b":\n\n")
        except OSError:
            pass  # the page went away
        finally:
            self._open.discard(news)
        return answer

    def _first(self, request: web.BaseRequest) -> int:
        """The number to go on from: all before it is known to the page."""
        epoch, _, number = request.headers.get("Last-Event-ID", "").partition("-")
        if epoch == self._traffic.epoch and number.isdecimal() and len(number) < 16:
            return min(int(number), self._traffic.last)
        return self._traffic.last

    def _message(self, kind: str, value: dict[str, Any], number: int) -> bytes:
        data = json.dumps({**value, "epoch": self._traffic.epoch}, separators=(",", ":"))
        # A lost connection is tried again after a second.
        head = f"retry: 1000\nevent: {kind}\nid: {self._traffic.epoch}-{number}"
        return f"{head}\ndata: {data}\n\n".encode()
