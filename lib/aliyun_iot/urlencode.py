"""application/x-www-form-urlencoded, as the register endpoint takes it. Firmware has none."""


def _quote(value):
    out = []
    for byte in value if isinstance(value, bytes) else str(value).encode():
        char = chr(byte)
        if byte < 128 and (char.isalpha() or char.isdigit() or char in "_.-~"):
            out.append(char)
        else:
            out.append("+" if char == " " else "%{:02X}".format(byte))
    return "".join(out)


def urlencode(pairs):
    """Join `pairs` into one form body: str, pure ASCII.

    pairs: a sequence of (name, value); their order is kept. Values are text (as UTF-8), bytes
    or numbers. Agrees with CPython's `urllib.parse.urlencode`.
    """
    return "&".join([_quote(name) + "=" + _quote(value) for name, value in pairs])
