"""The single steps that a gateway takes for its sub-devices; see `Gateway` for each."""

from micropython import const

from .. import ConfigError, phase
from ..records import is_secret
from .subdevices import check, names_of
from .talk import batches, report

_BATCH = const(6)  # as in `online`


def register(talk, subdevices, each):
    """Register those without a certificate."""
    from .registration import register

    def work(batch):
        known = talk.store.find(batch)
        return register(talk, [names for names in batch if names not in known], known)

    _each_batch(talk, subdevices, work, each)


def product_register(talk, subdevices, product_secret, each):
    """Register with the ProductSecret."""
    from .taking import product_register

    if not is_secret(product_secret):
        raise ValueError("product_secret: expected 1 to 64 printable characters, no space")
    _each_batch(talk, subdevices, lambda b: product_register(talk, b, product_secret), each)


def certified(talk, step, subdevices, each):
    """Run `step` of `signed`, "add" or "login", for sub-devices that have a certificate."""
    from . import signed

    def work(batch):
        known = talk.store.find(batch)
        failed = getattr(signed, step)(talk, [names for names in batch if names in known], known)
        for names in batch:
            if names not in known:
                text = "{}/{}: no certificate: register it".format(*names)
                failed[names] = ConfigError(text)
        return failed

    _each_batch(talk, subdevices, work, each)


def named(talk, tail, subdevices, each):
    """Send a request that only names sub-devices, one by one if a batch is refused."""
    from .registration import by_name

    def ask(group):
        entries = by_name(group)
        if tail[0] != "c":  # combine/...
            talk.ask(tail, group, entries)
        elif len(group) == 1:
            talk.ask(tail, group, entries, "|")
        else:
            talk.ask("combine/batch_logout", group, entries)
        return {}

    def work(batch):
        if tail != "thing/list/found":
            marking(talk, batch, False)
        return talk.settle(ask, batch, _BATCH)

    _each_batch(talk, subdevices, work, each)


def forget(talk, subdevices):
    """Delete certificates."""
    check(talk.gateway.session, subdevices)
    for batch in batches(subdevices, _BATCH):
        marking(talk, batch, False)
        phase("gateway.saving.remove", talk.store, batch)


def topology(talk, each):
    """Request the topology."""
    seen = [0]  # how many
    raised = []  # type: list  # by `each`; it must not pass through the session

    def entry(found):
        if found is None:
            seen[0] = 0
            return
        names = names_of(found)
        if names[0] and not raised:
            seen[0] += 1
            try:
                each(names[0], names[1])
            # Any error of the application's; raised again once the answer has been read.
            except Exception as e:
                raised.append(e)

    def ask(group):
        talk.ask("thing/topo/get", group, group, "{|}", entry)

    talk.insist(ask, ())
    if raised:
        raise raised[0]
    return seen[0]


def marking(talk, batch, online):
    """Set whether to log in after a reconnect."""
    known = talk.store.find(batch)
    for names in known:
        talk.gateway.marks(known[names][0], online)


def _each_batch(talk, subdevices, work, each):
    check(talk.gateway.session, subdevices)
    first = None
    for batch in batches(subdevices, _BATCH):
        first = first or report(batch, work(batch), each)
    if first:
        raise first
