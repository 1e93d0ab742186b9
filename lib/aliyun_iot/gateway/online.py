"""From nothing to online, whatever a sub-device has behind it.

A batch is small, and a signed request smaller: on a chip, more than 50 kB of Python's heap in use
takes the network's memory, and what is in work here is in use beside the whole application. For
the same reason what registers, what stores and what signs are not loaded together.
"""

from micropython import const

from .. import log, phase, time
from .store import PAGE
from .talk import batches, report

_BATCH = const(10)
_NO_TOPOLOGY = const(6401)
_STALE = (401, 6287)  # signed with a DeviceSecret that is not the latest


def bring_online(talk, subdevices, each):
    """See `Gateway.bring_online`."""
    if subdevices is None:
        return _run(talk, _stored(talk, None), each)
    phase(_check, talk, subdevices)
    return _run(talk, _listed(talk, subdevices), each)


def reconnected(talk, each):
    """See `Gateway.reconnected`."""
    return _run(talk, _stored(talk, talk.gateway.marked), each)


def _check(talk, subdevices):
    from .subdevices import check

    check(subdevices, talk.own)


def _listed(talk, subdevices):
    for batch in batches(subdevices, _BATCH):
        yield batch, talk.store.find(batch)


def _stored(talk, wanted):
    place = 0
    while place < talk.store.pages * PAGE:
        batch = []
        known = {}
        end = (place // PAGE + 1) * PAGE
        while place < end and len(batch) < _BATCH:
            entry = talk.store.at(place) if not wanted or wanted(place) else None
            if entry:
                batch.append(entry[:2])
                known[batch[-1]] = (place, entry[2])
            place += 1
        if batch:
            yield batch, known


def _run(talk, found, each):
    gateway = talk.gateway
    wait = time.ticks_diff(gateway.next, time.ticks_ms())
    if not 0 < wait <= gateway.spacing:
        wait = 0
    gateway.next = time.ticks_add(time.ticks_ms(), wait + gateway.spacing)
    count = 0
    first = None
    for batch, known in found:
        if wait and any([gateway.marked(known[names][0]) for names in known]):
            talk.pause(wait)
            wait = 0
        failed = _bring(talk, batch, known)
        count += len(batch) - len(failed)
        first = first or report(batch, failed, each)
    if first:
        raise first
    return count


def _bring(talk, batch, known):
    """Bring a batch online: dict of errors. known: what `Store.find` gives for it."""
    new = [names for names in batch if names not in known]
    if not new:
        from . import signed  # noqa: F401 - stays: most likely it is all that the others need

        return _sign_in(talk, batch, new, known)
    failed = phase(_register, talk, new, known)
    batch = [names for names in batch if names in known]
    failed.update(phase(_sign_in, talk, batch, new, known))
    return failed


def _register(talk, batch, known):
    from .registration import register

    return register(talk, batch, known)


def _sign_in(talk, batch, new, known):
    # Each of these gives the errors of those that failed.
    from .signed import add, log_in

    failed = add(talk, [names for names in batch if names in new], known)
    failed.update(log_in(talk, [names for names in batch if names not in failed], known))
    lost = _take(failed, (_NO_TOPOLOGY,))
    failed.update(add(talk, lost, known))
    stale = _take(failed, _STALE)
    if stale:
        log("gateway: {} DeviceSecrets are no longer valid: registering".format(len(stale)))
        failed.update(phase(_register, talk, stale, known))
        failed.update(add(talk, [names for names in stale if names not in failed], known))
    again = [names for names in lost + stale if names not in failed]
    failed.update(log_in(talk, again, known))
    return failed


def _take(failed, codes):
    taken = [names for names in failed if failed[names].code in codes]
    for names in taken:
        del failed[names]
    return taken
