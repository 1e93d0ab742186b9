"""Certificates for a gateway's sub-devices: requested, and stored before they are used.

SPEC "Dynamically register a sub-device".
"""

from micropython import const

from .. import ProtocolError, phase

_BATCH = const(6)  # as in `online`; the platform allows 30 (platform docs "Limits")


def register(talk, batch, known):
    """Register and store: dict of errors. known: updated with what has been stored."""

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
    """The entries of a request that only names sub-devices."""
    for key, name in batch:
        yield '{{"deviceName":"{}","productKey":"{}"}}'.format(name, key)


def hold(batch, kept, codes):
    """A function that collects the objects of a reply: see `talk.receive`.

    kept, codes: dicts for the DeviceSecret or the platform's code of each of `batch`; others are
    ignored.
    """

    def each(entry):
        if entry is None:
            kept.clear()
            codes.clear()
            return
        names = (entry.get("productKey"), entry.get("deviceName"))
        if names not in batch:
            return
        names = batch[batch.index(names)]  # reuse the tuple that is in memory already
        kept[names] = entry.get("deviceSecret")
        detail = entry.get("errorDetail")
        code = detail.get("code") if isinstance(detail, dict) else None
        if type(code) is int:
            codes[names] = code

    return each
