"""What ProductKeys, DeviceNames and secrets are made of (platform docs "Create a device")."""


def _only(value, also):
    # As bytes: of a str, MicroPython would keep each character for ever, a secret's too.
    return all(
        byte in also or 48 <= byte < 58 or 65 <= byte & 0xDF < 91 for byte in value.encode()
    )


def is_product_key(value):
    """Whether `value` is a ProductKey: 1 to 20 ASCII letters and digits."""
    return isinstance(value, str) and 0 < len(value) <= 20 and _only(value, b"")


def is_device_name(value):
    """Whether `value` is a DeviceName: 4 to 32 of letters, digits and - _ @ . :"""
    return isinstance(value, str) and 4 <= len(value) <= 32 and _only(value, b"-_@.:")


def is_secret(value, most=64):
    """Whether `value` can be a secret: 1 to `most` printable ASCII characters, no space."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= most
        and all(33 <= byte < 127 for byte in value.encode())
    )
