"""application/x-www-form-urlencoded, as the register endpoint takes it. Firmware has none."""


def _quote(value):
    out = bytearray()
    for byte in value if isinstance(value, bytes) else str(value).encode():
        if byte in b"_.-~" or 48 <= byte < 58 or 65 <= byte & 0xDF < 91:
            out.append(byte)
        else:
            out.extend(b"+" if byte == 32 else "%{:02X}".format(byte).encode())
    return out.decode()


def urlencode(pairs):
    """Join `pairs` into one form body: str, pure ASCII.

    pairs: a sequence of (name, value); their order is kept. Values are text (as UTF-8), bytes
    or numbers. Agrees with CPython's `urllib.parse.urlencode`.
    """
    return "&".join([_quote(name) + "=" + _quote(value) for name, value in pairs])
