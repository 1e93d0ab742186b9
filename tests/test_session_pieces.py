"""A message may come in any pieces: TCP and TLS cut where they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_where_the_stream_is_cut_makes_no_difference(on_device: Callable[..., Any]) -> None:
    assert on_device("session_pieces.py") == []
