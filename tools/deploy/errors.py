"""What can go wrong between the host and a board."""

from __future__ import annotations


class DeployError(Exception):
    """One sentence for the person at the keyboard: what failed, on which port, what to do."""
