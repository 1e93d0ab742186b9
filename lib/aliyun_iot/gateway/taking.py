"""Takes over sub-devices with their product's ProductSecret.

Platform docs "product_register": registers them even if another gateway has done so before.
"""

from micropython import const

from .. import ProtocolError, os, phase
from ..credentials import sign
from .registration import hold
from .signed import spelled

_SIGNED = const(3)  # as in `signed`
_TAIL = "thing/proxy/provisioning/product_register"


def product_register(talk, batch, product_secret):
    """Register and store, replacing older certificates: dict of errors."""

    def ask(batch):
        secrets = {}  # type: dict
        codes = {}  # type: dict
        entries = _entries(talk, batch, product_secret)
        each = hold(batch, secrets, codes)
        data = talk.ask(_TAIL, batch, entries, '{"proxieds":[|]}', each)
        if not isinstance(data, dict):
            raise ProtocolError(_TAIL + ": no data in the answer")
        phase("gateway.saving.save", talk.store, secrets, talk.store.find(batch))
        failed = {names: None for names in batch if names not in secrets}
        for names in failed:
            if names in codes:
                failed[names] = phase("gateway.codes.refusal", _TAIL, codes[names], (names,))
        return failed

    return talk.settle(ask, batch, _SIGNED)


def _entries(talk, batch, product_secret):
    """The entries of the request, signed with the ProductSecret."""
    text = '{{"productKey":"{}","deviceName":"{}","random":"{}","signMethod":"{}","sign":"{}"}}'
    method = talk.gateway.sign_method
    for key, name in batch:
        params = {"productKey": key, "deviceName": name, "random": random()}
        signed = sign(method, product_secret, params)
        yield text.format(key, name, params["random"], spelled(method), signed)


def random():
    """A random number for one signature: str."""
    return os.urandom(10).hex()
