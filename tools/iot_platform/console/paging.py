"""Lists are answered in pages: {"items": [...], "total", "offset", "limit"}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.iot_platform.console.fields import query_number

LIMIT = 50
MOST = 200
_MOST_OFFSET = 10_000_000


def read_page(query: Mapping[str, str]) -> tuple[int, int]:
    """offset and limit of a query. Raises ApiError."""
    return (
        query_number(query, "offset", 0, _MOST_OFFSET),
        query_number(query, "limit", LIMIT, MOST),
    )


def page_json(items: list[Any], total: int, offset: int, limit: int) -> dict[str, Any]:
    """A page of a list."""
    return {"items": items, "total": total, "offset": offset, "limit": limit}
