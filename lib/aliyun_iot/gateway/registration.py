"""Certificates for a gateway's sub-devices: asked for, and stored before anybody uses them.

SPEC "Dynamically register a sub-device".
"""

from micropython import const

from .. import os, phase
from ..errors import ProtocolError
from .talk import refused

_BATCH = const(10)  # the platform takes 30 (platform docs "Limits")
_SIGNED = const(5)


def register(talk, batch, known):
    """Register, and store: dict of errors. known: gets what the store then holds."""

    def ask(group):
        secrets = {}  # type: dict
        entry = _keeper(group, secrets, {})
        data = talk.ask("thing/sub/register", group, by_name(group), entry=entry)
        if not isinstance(data, list):
            raise ProtocolError("registration: no list in the answer")
        phase(_save, talk.store, secrets, known)
        return {names: None for names in group if names not in secrets}

    return talk.settle(ask, batch, _BATCH)


def product_register(talk, batch, product_secret):
    """The same with the ProductSecret, in place of older certificates too."""
    tail = "thing/proxy/provisioning/product_register"

    def ask(group):
        secrets = {}  # type: dict
        codes = {}  # type: dict
        entries = by_product(talk, group, product_secret)
        entry = _keeper(group, secrets, codes)
        data = talk.ask(tail, group, entries, '{"proxieds":[', "]}", entry)
        if not isinstance(data, dict):
            raise ProtocolError(tail + ": no data in the answer")
        phase(_save, talk.store, secrets, talk.store.find(group))
        failed = {names: None for names in group if names not in secrets}
        for names in failed:
            if names in codes:
                failed[names] = phase(refused, tail, codes[names], (names,))
        return failed

    return talk.settle(ask, batch, _SIGNED)


def by_name(group):
    """Entries that only name sub-devices."""
    for key, name in group:
        yield '{{"deviceName":"{}","productKey":"{}"}}'.format(name, key)


def by_product(talk, group, product_secret):
    """Entries that are signed with the ProductSecret."""
    from ..credentials import sign
    from .signed import spelled

    text = '{{"productKey":"{}","deviceName":"{}","random":"{}","signMethod":"{}","sign":"{}"}}'
    method = talk.gateway.sign_method
    for key, name in group:
        params = {"productKey": key, "deviceName": name, "random": random()}
        signed = sign(method, product_secret, params)
        yield text.format(key, name, params["random"], spelled(method), signed)


def random():
    """Something new: str."""
    return os.urandom(10).hex()


def _keeper(group, secrets, codes):
    """What takes in the objects of a reply: see `talk.Reply`.

    secrets, codes: dicts that get the DeviceSecret or the platform's code of each of `group`;
    what nobody asked for is left out.
    """

    def keep(entry):
        if entry is None:
            secrets.clear()
            codes.clear()
            return
        names = (entry.get("productKey"), entry.get("deviceName"))
        if names not in group:
            return
        names = group[group.index(names)]  # the one in memory already
        secrets[names] = entry.get("deviceSecret")
        detail = entry.get("errorDetail")
        code = detail.get("code") if isinstance(detail, dict) else None
        if type(code) is int:
            codes[names] = code

    return keep


def _save(store, secrets, known):
    from .saving import save

    save(store, secrets, known)
