"""What a gateway asks of the platform for one batch of sub-devices.

Each step gives a dict of the sub-devices that failed to their errors. Certificates are on flash,
read back, before any step uses them.
"""

import os
import time

from micropython import const

from . import subdevices as subs
from .alink import Alink
from .errors import ConfigError, ProtocolError
from .substore import PAGE, PAGES, Substore

_EPOCH_2000 = const(946684800)
_SIGNED = const(10)  # the platform allows 50, but each takes 250 bytes of a request


class Steps(Alink):
    """The conversation with what it needs: signing, certificates, and who is to be online."""

    def __init__(self, session, sign_method):
        super().__init__(session)
        self.sign_method = sign_method.lower()
        subs.sign(self.sign_method, "", {})  # raises for an unknown method before anything is sent
        self.store = Substore()
        self.online = bytearray(PAGE * PAGES // 8 + 1)  # a bit for each place in the store

    def product_registration(self, batch, product_secret):
        """Ask for certificates with the ProductSecret, and store them; not one by one."""
        entries = subs.by_product(batch, product_secret, self.sign_method, _random)
        tail = "thing/proxy/provisioning/product_register"
        data = self.ask(tail, batch, entries, '{"proxieds":[', "]}")
        if not isinstance(data, dict):
            raise ProtocolError(tail + ": no data in the answer")
        failed = self._keep(batch, data.get("successes"))
        for entry in subs.entries(data.get("failures")):
            detail = entry.get("errorDetail")
            code = detail.get("code") if isinstance(detail, dict) else None
            names = subs.names_of(entry)
            if names in failed and type(code) is int:
                failed[names] = subs.refusal(tail, code, (names,))
        return failed

    def registration(self, batch):
        """Ask for certificates, and store them; not one by one."""
        return self._keep(batch, self.ask("thing/sub/register", batch, subs.by_name(batch)))

    def _keep(self, batch, data):
        secrets = subs.granted(data, batch)
        data.clear()  # the answer makes room for the page
        self.store.save(secrets)
        return {names: None for names in batch if names not in secrets}

    def renew(self, batch, known):
        """Register, store, and add to the topology. known: gets what the store then holds."""
        failed = self.settle(self.registration, batch)
        good = [names for names in batch if names not in failed]
        known.update(self.store.find(good))
        failed.update(self.add(good, known))
        return failed

    def with_known(self, work, batch):
        """Do work(sub-devices, what `Substore.find` gives) for those with a certificate."""
        known = self.store.find(batch)
        failed = {}
        for names in batch:
            if names not in known:
                failed[names] = ConfigError("{}/{}: no certificate: register it".format(*names))
        failed.update(work([names for names in batch if names in known], known))
        return failed

    def add(self, batch, known):
        """Add to the topology, one by one where a batch is refused."""

        def ask(group):
            stamp = _timestamp()
            entries = subs.for_topology(group, known, self.sign_method, stamp)
            self.ask("thing/topo/add", group, entries)
            return {}

        return self.settle(ask, batch, _SIGNED)

    def log_in(self, batch, known):
        """Log in, one by one where a batch is refused: the platform takes all or nothing."""

        def ask(group):
            entries = subs.for_login(group, known, self.sign_method, _timestamp())
            if len(group) == 1:
                self.ask("combine/login", group, entries, "", "")
            else:
                self.ask("combine/batch_login", group, entries, '{"deviceList":[', "]}")
            return {}

        for names in batch:
            self._set(known[names][0], True)  # wanted, should the connection break meanwhile
        failed = self.settle(ask, batch, _SIGNED)
        for names in batch:
            self._set(known[names][0], names not in failed)
        return failed

    def named(self, tail, batch):
        """A request that only names sub-devices, one by one where a batch is refused."""

        def ask(group):
            if not tail.startswith("combine"):
                self.ask(tail, group, subs.by_name(group))
            elif len(group) == 1:
                self.ask(tail, group, subs.by_name(group), "", "")
            else:
                self.ask("combine/batch_logout", group, subs.by_name(group))
            return {}

        if tail != "thing/list/found":
            self.mark(batch, False)
        return self.settle(ask, batch)

    def mark(self, batch, online):
        """Note that stored sub-devices are, or are not, to be online after a reconnect."""
        known = self.store.find(batch)
        for names in known:
            self._set(known[names][0], online)

    def _set(self, place, online):
        bit = 1 << (place & 7)
        self.online[place >> 3] = self.online[place >> 3] & ~bit | (bit if online else 0)


def _random():
    return os.urandom(10).hex()


def _timestamp():
    # Unix milliseconds. The chip counts seconds from 2000, the unix port from 1970.
    return "{}000".format(time.time() + (_EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0))
