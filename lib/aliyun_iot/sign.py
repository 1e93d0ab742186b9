"""The platform's one rule for signing; registration, connect, topology and login share it."""

from .hmac import hmac_hex


def splice(params, unsigned=("sign", "signMethod", "signmethod")):
    """Sort by name, then join names and values without any separator: str.

    params: dict of str to str. unsigned: the names to leave out.
    Source: SPEC "Sign the parameters".
    """
    return "".join([name + params[name] for name in sorted(params) if name not in unsigned])


def sign(method, secret, params, unsigned=("sign", "signMethod", "signmethod")):
    """Sign `params` with `secret` (ProductSecret or DeviceSecret): lower-case hex str.

    Raises ConfigError for an unknown method (see `hmac_hex`).
    """
    return hmac_hex(method, secret, splice(params, unsigned))
