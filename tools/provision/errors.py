"""What can go wrong before or while boards are provisioned."""

from __future__ import annotations


class ProvisionError(Exception):
    """One sentence for the person at the line; never a secret."""
