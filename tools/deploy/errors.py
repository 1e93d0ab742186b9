"""What can go wrong between the host and a board."""

from __future__ import annotations


class DeployError(Exception):
    """One sentence for the person at the keyboard: what failed, on which port, what to do."""


class SilentError(DeployError):
    """The board has not said a word for too long."""


class DisturbedError(DeployError):
    """Something else came over the line, such as the firmware's own log: another try may do."""
