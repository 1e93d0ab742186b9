"""Receives thing/bootstrap/notify: the platform tells a device to ask bootstrap again.

This module stays loaded with the session, for `reader`; what it calls is in `asked`.
"""

from .. import phase


def reader(device):
    """A reader for the notice, see `Session._deliver`; calling it with (None, None) resets it."""
    data = bytearray()

    def take(payload, left):
        if payload is None:
            data[:] = b""  # part of a notice from the previous connection
            return
        if len(data) + len(payload) <= 1024:
            data.extend(payload)
        if not left:
            whole = bytes(data)
            data[:] = b""
            phase("moving.asked.take", device, whole)

    return take
