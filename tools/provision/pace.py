"""How fast a line works: by the time in which it did, not by the breaks between."""

from __future__ import annotations

from collections.abc import Iterable


def busy_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one port was working. spans: start and end of each board."""
    total = 0.0
    until = float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def per_hour(units: int, spans: Iterable[tuple[float, float]]) -> str:
    """Units an hour of work, "-" where that cannot be told yet."""
    seconds = busy_seconds(spans)
    return f"{units / seconds * 3600:.0f}" if units and seconds else "-"
