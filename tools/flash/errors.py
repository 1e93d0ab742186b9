"""What can go wrong between a firmware file and a chip."""

from __future__ import annotations


class FlashError(Exception):
    """One sentence for the person at the keyboard: what failed and what to do."""
