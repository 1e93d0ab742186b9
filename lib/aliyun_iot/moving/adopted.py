"""The methods of a Device that looks for its place: they stay, and this module with them."""

from .. import IotError, phase

_NAMES = ("prepare", "connect", "missed", "connected", "register", "places")


def adopt(device):
    """Put them in the place of the plain ones."""
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
    """Let the plain ones be seen again."""
    for name in _NAMES:
        if hasattr(device, name):
            delattr(device, name)
