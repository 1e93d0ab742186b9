"""Requests that are signed with each sub-device's DeviceSecret: topology and login."""

from micropython import const

from .. import log, phase, time
from ..credentials import sign

_SIGNED = const(3)  # the platform allows 50 logins, but up to 1 kB is sent in one piece
_NO_TOPOLOGY = const(6401)
_EPOCH_2000 = const(946684800)


def sign_in(talk, batch, new, known):
    """Log in those of `batch` that have a certificate: dict of errors.

    new: those just registered, which are in no topology yet. Others missing from the topology are
    added too, and those whose certificate is no longer valid are registered again.
    """
    failed = add(talk, [names for names in batch if names in new], known)
    failed.update(login(talk, [names for names in batch if names not in failed], known))
    lost = take(failed, (_NO_TOPOLOGY,))
    failed.update(add(talk, lost, known))
    stale = take(failed, (401, 6287))  # signed with a DeviceSecret that is not the latest
    if stale:
        log("gateway: {} DeviceSecrets are no longer valid: registering".format(len(stale)))
        failed.update(phase("gateway.registration.register", talk, stale, known))
        failed.update(add(talk, [names for names in stale if names not in failed], known))
    again = [names for names in lost + stale if names not in failed]
    failed.update(login(talk, again, known))
    return failed


def take(failed, codes):
    """Remove from `failed`, and return as a list, those that failed with one of `codes`."""
    taken = [names for names in failed if failed[names].code in codes]
    for names in taken:
        del failed[names]
    return taken


def add(talk, batch, known):
    """Add to the topology, one by one if a batch is refused: dict of errors."""

    text = '{{"deviceName":"{1}","productKey":"{0}","sign":"{3}","signmethod":"{5}",'
    text += '"timestamp":"{2}","clientId":"{0}.{1}"}}'

    def ask(batch):
        talk.ask("thing/topo/add", batch, entries(talk, batch, known, text))
        return {}

    return talk.settle(ask, batch, _SIGNED)


def login(talk, batch, known):
    """Log in, one by one if a batch is refused, which is all or nothing: dict of errors."""
    gateway = talk.gateway
    text = '{{"productKey":"{0}","deviceName":"{1}","clientId":"{0}.{1}","timestamp":"{2}",'
    text += '"signMethod":"{4}","sign":"{3}","cleanSession":"true"}}'

    def ask(batch):
        texts = entries(talk, batch, known, text)
        if len(batch) == 1:
            talk.ask("combine/login", batch, texts, "|")
        else:
            talk.ask("combine/batch_login", batch, texts, '{"deviceList":[|]}')
        return {}

    for names in batch:
        gateway.marks(known[names][0], True)  # now, in case the connection breaks
    failed = talk.settle(ask, batch, _SIGNED)
    for names in failed:
        gateway.marks(known[names][0], False)
    return failed


def entries(talk, batch, known, text):
    """The entries of a request. known: see `sign_in`. text: the format of an entry."""
    now = timestamp()
    method = talk.gateway.sign_method
    for names in batch:
        params = {
            "clientId": names[0] + "." + names[1],
            "deviceName": names[1],
            "productKey": names[0],
            "timestamp": now,
        }
        signed = sign(method, known[names][1], params)
        yield text.format(names[0], names[1], now, signed, method, spelled(method))


def spelled(method):
    """hmacSha256 for hmacsha256, as the platform's documentation spells it for some requests."""
    return method[:4] + method[4].upper() + method[5:]


def timestamp():
    """Unix milliseconds, str. The chip counts seconds from 2000, the unix port from 1970."""
    return str((time.time() + (_EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0)) * 1000)
