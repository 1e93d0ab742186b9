"""The platform tells a connected device to ask bootstrap again: thing/bootstrap/notify.

`reader` stays for as long as the session, and this module with it; the rest is in `asked`.
"""

from .. import phase


def reader(device):
    """What takes the notice, see `Session._deliver`; called with (None, None) it begins anew."""
    data = bytearray()

    def take(payload, left):
        if payload is None:
            data[:] = b""  # half a notice, of a connection that has ended
            return
        if len(data) + len(payload) <= 1024:
            data.extend(payload)
        if not left:
            whole = bytes(data)
            data[:] = b""
            phase("moving.asked.take", device, whole)

    return take
