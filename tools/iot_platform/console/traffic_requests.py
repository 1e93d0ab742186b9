"""Requests on the traffic: pages of it, and what the live stream sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tools.iot_platform.console import fields
from tools.iot_platform.console.device_requests import read_identity
from tools.iot_platform.console.paging import LIMIT, MOST
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.console.traffic import GROUPS, Traffic, entry_json
from tools.iot_platform.rules.names import Identity

_MOST_NUMBER = 2**53
STREAM_ENTRIES = 100
"""Entries in one message of the live stream; of more only the newest are sent."""
_STREAM_DEVICES = 200


class TrafficRequests:
    """`handlers`: by method and path."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._hub = hub
        self._traffic = traffic
        self.handlers = {("GET", "events"): self.list}

    def list(self, _: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        """Events, newest first; `before` is the number of the last one of the page before."""
        fields.only(query, "device", "group", "refused", "before", "limit")
        device = query.get("device")
        limit = fields.query_number(query, "limit", LIMIT, MOST)
        before = None
        if "before" in query:
            before = fields.query_number(query, "before", 0, _MOST_NUMBER)
        entries = self._traffic.page(
            limit + 1,
            before,
            None if device is None else read_identity(device, "device"),
            fields.query_choice(query, "group", GROUPS),
            fields.query_flag(query, "refused") or False,
        )
        return {
            "items": [entry_json(entry, self.secrets_of) for entry in entries[:limit]],
            "more": len(entries) > limit,
            "lastEvent": self._traffic.last,
        }

    def news(self, since: int) -> dict[str, Any]:
        """What a page has to know that has seen everything up to a number."""
        entries, skipped = self._traffic.since(since, STREAM_ENTRIES)
        devices = {str(entry.device) for entry in entries if entry.device is not None}
        return {
            "entries": [entry_json(entry, self.secrets_of) for entry in entries],
            "skipped": skipped,
            "devices": sorted(devices)[:_STREAM_DEVICES],
            "lastEvent": entries[-1].number if entries else since,
        }

    def secrets_of(self, device: Identity) -> Iterable[str]:
        """The secrets that the payloads of a device might repeat."""
        known = self._hub.registry.find_device(*device)
        if known is not None:
            yield known.device_secret
        product = self._hub.registry.find_product(device.product_key)
        if product is not None:
            yield product.product_secret
