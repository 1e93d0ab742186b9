"""Brings sub-devices online, whatever state each is in.

Batches are small, and signed requests smaller: on a chip, a Python heap of more than 50 kB takes
the network's memory, and what is needed here adds to the application's own. For the same reason
the code that registers, the code that stores and the code that signs are not loaded together.
"""

from micropython import const

from .. import phase, time
from .talk import batches, report

_BATCH = const(6)  # the platform allows 30; see above
_PAGE = const(30)  # as in `store`


def bring_online(talk, subdevices, each):
    """See `Gateway.bring_online`."""
    if subdevices is None:
        return run(talk, _read(talk, None), each)
    phase("gateway.subdevices.check", talk.gateway.session, subdevices)
    found = ((batch, talk.store.find(batch)) for batch in batches(subdevices, _BATCH))
    return run(talk, found, each)


def reconnected(talk, each):
    """See `Gateway.reconnected`."""
    return run(talk, _read(talk, talk.gateway.marks), each)


def _read(talk, where):
    place = 0
    while place < talk.store.pages * _PAGE:
        batch = []  # type: list
        known = {}
        end = (place // _PAGE + 1) * _PAGE
        while place < end and len(batch) < _BATCH:
            entry = talk.store.at(place) if not where or where(place) else None
            if entry:
                batch.append(entry[:2])
                known[batch[-1]] = (place, entry[2])
            place += 1
        if batch:
            yield batch, known


def run(talk, found, each):
    gateway = talk.gateway
    wait = time.ticks_diff(gateway.next, time.ticks_ms())
    if not 0 < wait <= gateway.spacing:
        wait = 0
    gateway.next = time.ticks_add(time.ticks_ms(), wait + gateway.spacing)
    count = 0
    first = None
    for batch, known in found:
        if wait and any(gateway.marks(known[names][0]) for names in known):
            talk.until(bool, wait)  # never true
            wait = 0
        failed = _bring(talk, batch, known)
        count += len(batch) - len(failed)
        first = first or report(batch, failed, each)
    if first:
        raise first
    return count


def _bring(talk, batch, known):
    """Bring a batch online: dict of errors. known: what `Store.find` returned for it."""
    new = [names for names in batch if names not in known]
    if not new:
        from .signed import sign_in  # stays loaded: the other batches probably need nothing else

        return sign_in(talk, batch, new, known)
    failed = phase("gateway.registration.register", talk, new, known)
    batch = [names for names in batch if names in known]
    failed.update(phase("gateway.signed.sign_in", talk, batch, new, known))
    return failed
