"""Certificates for a gateway's sub-devices: asked for, and stored before anybody uses them.

SPEC "Dynamically register a sub-device".
"""

from micropython import const

from .. import ProtocolError, phase

_BATCH = const(6)  # as in `online`; the platform takes 30 (platform docs "Limits")


def register(talk, batch, known):
    """Register, and store: dict of errors. known: gets what the store then holds."""

    def ask(batch):
        kept = {}  # type: dict
        each = hold(batch, kept, {})
        data = talk.ask("thing/sub/register", batch, by_name(batch), each=each)
        if not isinstance(data, list):
            raise ProtocolError("registration: no list in the answer")
        phase("gateway.saving.save", talk.store, kept, known)
        return dict.fromkeys([names for names in batch if names not in kept])

    return talk.settle(ask, batch, _BATCH)


def by_name(batch):
    """Entries that only name sub-devices."""
    for key, name in batch:
        yield '{{"deviceName":"{}","productKey":"{}"}}'.format(name, key)


def hold(batch, kept, codes):
    """What takes in the objects of a reply: see `talk.receive`.

    kept, codes: dicts that get the DeviceSecret or the platform's code of each of `batch`;
    what nobody asked for is left out.
    """

    def each(entry):
        if entry is None:
            kept.clear()
            codes.clear()
            return
        names = (entry.get("productKey"), entry.get("deviceName"))
        if names not in batch:
            return
        names = batch[batch.index(names)]  # the one in memory already
        kept[names] = entry.get("deviceSecret")
        detail = entry.get("errorDetail")
        code = detail.get("code") if isinstance(detail, dict) else None
        if type(code) is int:
            codes[names] = code

    return each
