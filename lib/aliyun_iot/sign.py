"""The platform's one rule for signing; registration, connect, topology and login share it."""

from .hmac import hmac_hex

_UNSIGNED = ("sign", "signMethod", "signmethod")


def splice(params, unsigned=_UNSIGNED):
    """Sort by name, then join names and values without any separator: str.

    params: dict; values are text or numbers. unsigned: the names to leave out.
    Source: SPEC "Sign the parameters".
    """
    return "".join([name + str(params[name]) for name in sorted(params) if name not in unsigned])


def sign(method, secret, params, unsigned=_UNSIGNED):
    """Sign `params` with `secret` (ProductSecret or DeviceSecret): lower-case hex str.

    Raises ConfigError for an unknown method (see `hmac_hex`).
    """
    return hmac_hex(method, secret, splice(params, unsigned))
