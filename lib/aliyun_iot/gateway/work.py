"""What a gateway asks of the platform: each step for a batch of sub-devices, and all at once.

Each step gives a dict of the sub-devices that failed to their errors. Certificates are on flash,
read back, before any step uses them. `known` is what `Store.find` gives for a batch.

A batch is small, and a signed request smaller: on a chip, more than 50 kB of Python's heap in use
takes the network's memory, and what is in work here is in use beside the whole application.
"""

from micropython import const

from .. import log, os, time
from ..errors import ConfigError, ProtocolError
from ..records import is_secret
from . import requests
from .replies import names_of
from .requests import batches, check
from .store import PAGE, Store
from .talk import Talk

# The platform takes 30 to register and 50 to log in (platform docs "Limits").
_BATCH = const(10)
_SIGNED = const(5)  # each takes 250 bytes of a request

_NO_TOPOLOGY = const(6401)
_STALE = (401, 6287)  # signed with a DeviceSecret that is not the latest
_EPOCH_2000 = const(946684800)


class Work:
    """One call of the Gateway `gateway`, and those made from within its `each`."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.own = (gateway.session.product_key, gateway.session.device_name)
        self.talk = Talk(gateway)
        self.store = Store()

    def within(self, name, args):
        """A call from within another's `each`."""
        self.store.searched = self.store.pages + 1  # what it saves may be on the other's list
        return getattr(self, name)(*args)

    # --- all at once

    def bring_online(self, subdevices, each):
        """See `Gateway`, as for all that follows."""
        if subdevices is None:
            return self._run(self._stored(None), each)
        check(subdevices, self.own)
        return self._run(self._listed(subdevices), each)

    def reconnected(self, each):
        return self._run(self._stored(self.gateway.online), each)

    def _listed(self, subdevices):
        for batch in batches(subdevices, _BATCH):
            yield batch, self.store.find(batch)

    def _stored(self, marks):
        place = 0
        while place < self.store.pages * PAGE:
            batch = []
            known = {}
            end = (place // PAGE + 1) * PAGE
            while place < end and len(batch) < _BATCH:
                entry = self.store.at(place) if not marks or _bit(marks, place) else None
                if entry:
                    batch.append(entry[:2])
                    known[batch[-1]] = (place, entry[2])
                place += 1
            if batch:
                yield batch, known

    def _run(self, found, each):
        gateway = self.gateway
        wait = time.ticks_diff(gateway.next, time.ticks_ms())
        if not 0 < wait <= gateway.spacing:
            wait = 0
        gateway.next = time.ticks_add(time.ticks_ms(), wait + gateway.spacing)
        count = 0
        first = None
        for batch, known in found:
            if wait and any([_bit(gateway.online, known[names][0]) for names in known]):
                self.talk.pause(wait)
                wait = 0
            failed = self._bring(batch, known)
            count += len(batch) - len(failed)
            first = first or _report(batch, failed, each)
        if first:
            raise first
        return count

    def _bring(self, batch, known):
        # Each of these gives the errors of those that failed.
        failed = self.renew([names for names in batch if names not in known], known)
        failed.update(self.log_in([names for names in batch if names not in failed], known))
        lost = _take(failed, (_NO_TOPOLOGY,))
        failed.update(self.add(lost, known))
        stale = _take(failed, _STALE)
        if stale:
            log("gateway: {} DeviceSecrets are no longer valid: registering".format(len(stale)))
        failed.update(self.renew(stale, known))
        again = [names for names in batch if names in lost or names in stale]
        failed.update(self.log_in([names for names in again if names not in failed], known))
        return failed

    # --- step by step

    def register(self, subdevices, each):
        def work(batch):
            known = self.store.find(batch)
            return self._register([names for names in batch if names not in known], known)

        self._each_batch(subdevices, work, each)

    def product_register(self, subdevices, product_secret, each):
        if not is_secret(product_secret):
            raise ValueError("product_secret: expected 1 to 64 printable characters, no space")
        tail = "thing/proxy/provisioning/product_register"

        def ask(group):
            secrets = {}  # type: dict
            refused = {}  # type: dict
            entries = requests.by_product(
                group, product_secret, self.gateway.sign_method, _random
            )
            keep = _keeper(group, secrets, refused)
            data = self.talk.ask(tail, group, entries, '{"proxieds":[', "]}", keep)
            if not isinstance(data, dict):
                raise ProtocolError(tail + ": no data in the answer")
            self.store.save(secrets, self.store.find(group))
            failed = {names: None for names in group if names not in secrets}
            for names in failed:
                if names in refused:
                    failed[names] = self.talk.refusal(tail, refused[names], (names,))
            return failed

        self._each_batch(
            subdevices, lambda batch: self.talk.settle(ask, batch, _SIGNED), each
        )

    def certified(self, step, subdevices, each):
        """Do `step`, "add" or "log_in", for sub-devices that have a certificate."""

        def work(batch):
            known = self.store.find(batch)
            failed = {}
            for names in batch:
                if names not in known:
                    text = "{}/{}: no certificate: register it".format(*names)
                    failed[names] = ConfigError(text)
            failed.update(getattr(self, step)([n for n in batch if n in known], known))
            return failed

        self._each_batch(subdevices, work, each)

    def named(self, tail, subdevices, each):
        """Make a request that only names sub-devices, one by one where a batch is refused."""

        def ask(group):
            entries = requests.by_name(group)
            if not tail.startswith("combine"):
                self.talk.ask(tail, group, entries)
            elif len(group) == 1:
                self.talk.ask(tail, group, entries, "", "")
            else:
                self.talk.ask("combine/batch_logout", group, entries)
            return {}

        def work(batch):
            if tail != "thing/list/found":
                self.mark(batch, False)
            return self.talk.settle(ask, batch, _BATCH)

        self._each_batch(subdevices, work, each)

    def forget(self, subdevices):
        check(subdevices, self.own)
        for batch in batches(subdevices, _BATCH):
            self.mark(batch, False)
            self.store.remove(batch)

    def topology(self, each):
        seen = [0, None]  # how many; what `each` raised: not from within the session

        def entry(found):
            if found is None:
                seen[0] = 0
                return
            names = names_of(found)
            if names[0] and not seen[1]:
                seen[0] += 1
                try:
                    each(names[0], names[1])
                # The application's own, whatever it is; raised again when the answer is read.
                except Exception as e:
                    seen[1] = e

        def ask(group):
            self.talk.ask("thing/topo/get", group, group, "{", "}", entry)

        self.talk.insist(ask, ())
        if seen[1]:
            raise seen[1]
        return seen[0]

    def mark(self, batch, online):
        known = self.store.find(batch)
        for names in known:
            self._set(known[names][0], online)

    def _each_batch(self, subdevices, work, each):
        check(subdevices, self.own)
        first = None
        for batch in batches(subdevices, _BATCH):
            first = first or _report(batch, work(batch), each)
        if first:
            raise first

    # --- steps for one batch

    def renew(self, batch, known):
        """Register, store, and add to the topology."""
        failed = self._register(batch, known)
        failed.update(self.add([names for names in batch if names not in failed], known))
        return failed

    def _register(self, batch, known):
        def ask(group):
            secrets = {}  # type: dict
            entries = requests.by_name(group)
            keep = _keeper(group, secrets, {})
            data = self.talk.ask("thing/sub/register", group, entries, entry=keep)
            if not isinstance(data, list):
                raise ProtocolError("registration: no list in the answer")
            self.store.save(secrets, known)
            return {names: None for names in group if names not in secrets}

        return self.talk.settle(ask, batch, _BATCH)

    def add(self, batch, known):
        """Add to the topology, one by one where a batch is refused."""

        def ask(group):
            entries = requests.for_topology(
                group, known, self.gateway.sign_method, timestamp()
            )
            self.talk.ask("thing/topo/add", group, entries)
            return {}

        return self.talk.settle(ask, batch, _SIGNED)

    def log_in(self, batch, known):
        """Log in, one by one where a batch is refused: the platform takes all or nothing."""

        def ask(group):
            entries = requests.for_login(group, known, self.gateway.sign_method, timestamp())
            if len(group) == 1:
                self.talk.ask("combine/login", group, entries, "", "")
            else:
                self.talk.ask("combine/batch_login", group, entries, '{"deviceList":[', "]}")
            return {}

        for names in batch:
            self._set(known[names][0], True)  # wanted, should the connection break meanwhile
        failed = self.talk.settle(ask, batch, _SIGNED)
        for names in batch:
            self._set(known[names][0], names not in failed)
        return failed

    def _set(self, place, online):
        marks = self.gateway.online
        bit = 1 << (place & 7)
        marks[place >> 3] = marks[place >> 3] & ~bit | (bit if online else 0)


def _keeper(group, secrets, refused):
    """What takes in the objects of a registration's reply: see `replies.Reply`.

    secrets, refused: dicts that get the DeviceSecret or the code of each of `group`; what nobody
    asked for is left out.
    """

    def keep(entry):
        if entry is None:
            secrets.clear()
            refused.clear()
            return
        names = names_of(entry)
        if names not in group:
            return
        names = group[group.index(names)]  # the one in memory already
        if is_secret(entry.get("deviceSecret")):
            secrets[names] = entry["deviceSecret"]
            return
        detail = entry.get("errorDetail")
        code = detail.get("code") if isinstance(detail, dict) else None
        if type(code) is int:
            refused[names] = code

    return keep


def _report(batch, failed, each):
    """Tell the application of a batch: None, or the first error if there is no `each`."""
    for names in batch:
        error = failed.get(names)
        if each:
            each(names[0], names[1], error)
        elif error:
            return error
    return None


def _bit(marks, place):
    return marks[place >> 3] >> (place & 7) & 1


def _take(failed, codes):
    taken = [names for names in failed if failed[names].code in codes]
    for names in taken:
        del failed[names]
    return taken


def _random():
    return os.urandom(10).hex()


def timestamp():
    """Unix milliseconds, str. The chip counts seconds from 2000, the unix port from 1970."""
    return "{}000".format(time.time() + (_EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0))
