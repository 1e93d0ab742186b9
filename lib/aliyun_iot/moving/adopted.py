"""The methods of a Device that looks for its place; this module stays loaded with them."""

from .. import IotError, phase

_NAMES = ("prepare", "connect", "missed", "connected", "register", "places")


def adopt(device):
    """Override the plain methods of a Device."""
    plain = type(device)

    def prepare():
        session = plain.prepare(device)
        phase("moving.choose", device)
        return session

    def missed(e):
        phase("moving.failed", device, e)

    def connect():
        session = device.prepare()
        session.close()
        try:
            session.run(session.connecting(device.login()[0]))
        except IotError as e:
            device.missed(e)
            raise
        device.connected()
        return session

    def connected():
        phase("moving.settle", device)
        plain.connected(device)

    def register():
        from .. import wire  # noqa: F401 - as in `Device.register`

        phase("moving.enrol", device)

    device.prepare = prepare
    device.connect = connect
    device.missed = missed
    device.connected = connected
    device.register = register


def release(device):
    """Restore the plain methods."""
    for name in _NAMES:
        if hasattr(device, name):
            delattr(device, name)
