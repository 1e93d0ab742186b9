"""The API without HTTP: a method, a path, a query and a body in, a JSON value out.

docs/console.md lists the requests. All changes are POST.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.iot_platform.console import inventory
from tools.iot_platform.console.device_requests import DeviceRequests
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.fields import only, whole_characters
from tools.iot_platform.console.product_requests import ProductRequests
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.console.traffic import Traffic
from tools.iot_platform.console.traffic_requests import TrafficRequests

Names = Mapping[str, str]
Handler = Callable[[Names, Mapping[str, Any]], Any]
"""(names in the path, query of a GET or body of a POST) -> what is answered as JSON."""
PREFIX = "/api/"


@dataclass(frozen=True)
class Route:
    """A request. path: below /api/, with {names}."""

    method: str
    path: str
    handler: Handler
    pattern: re.Pattern[str]


class Api:
    """Answers requests. Runs in the platform's thread, or where there is none in any."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._hub = hub
        self._traffic = traffic
        self._routes: list[Route] = []
        self._add("GET", "status", self._status)
        for requests in (
            ProductRequests(hub),
            DeviceRequests(hub),
            TrafficRequests(hub, traffic),
        ):
            for (method, path), handler in requests.handlers.items():
                self._add(method, path, handler)

    def answer(self, method: str, path: str, given: Mapping[str, Any]) -> Any:
        """What a request is answered with; given: its query or its body. Raises ApiError."""
        whole_characters(path, given)
        methods = []
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == method:
                return route.handler(match.groupdict(), given)
            methods.append(route.method)
        if methods:
            raise ApiError(405, f"{method} is not for this path; use {' or '.join(methods)}")
        raise ApiError(404, "no such path; docs/console.md lists them")

    def _add(self, method: str, path: str, handler: Handler) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", PREFIX + path)
        self._routes.append(Route(method, path, handler, re.compile(pattern)))

    def _status(self, _: Names, query: Mapping[str, Any]) -> Any:
        only(query)
        counts = inventory.counts(self._hub.database)
        products = len(self._hub.registry.products())
        online = len(self._hub.online_devices())
        return {
            "endpoints": {"host": self._hub.host, **self._hub.ports},
            "counts": {"products": products, "online": online, **counts},
            "lastEvent": self._traffic.last,
        }
