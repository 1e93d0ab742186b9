"""A gateway's conversation about its sub-devices: register, topology, login, and what they say.

    gateway = Gateway(session)                # the gateway's own Session, from Device.connect()
    gateway.bring_online([("a1SensorKey0", "sensor-001"), ...])
    gateway.publish("a1SensorKey0", "sensor-001", "thing/event/property/post", payload)

A sub-device is a tuple (ProductKey, DeviceName). Wherever a list of them is taken, anything will
do that can be gone through repeatedly, of up to 2,000; memory does not grow with their number.
The list is checked before anything is sent: ConfigError names the entry that is wrong. Batches
that the platform refuses are asked for one by one to find the bad one. `each`, where given, is
called with (product_key, device_name, error) for each sub-device, error being None or an IotError;
without it the first error is raised when all others are done.

Beside those, NetworkError, ProtocolError and BusyError are raised at once where asking again did
not help (see `alink`), and StoreError. Messages that come meanwhile stay in the session's inbox.
"""

import time

from micropython import const

from . import subdevices as subs
from .errors import ConfigError, Retryable
from .gateway_steps import Steps
from .log import log

_BATCH = const(30)  # platform docs "Limits": 30 to register, 50 to log in; a page holds 30
_NO_TOPOLOGY = const(6401)
_STALE = (401, 6287)  # signed with a DeviceSecret that is not the latest


class Gateway(Steps):
    """What a gateway does for its sub-devices, over its own session.

    session: a connected Session; the same one after each reconnect. sign_method: hmacmd5,
    hmacsha1 or hmacsha256.
    """

    spacing = 20000
    """Milliseconds between runs that log in the same sub-devices again. The platform's limit is
    five logins a minute, and a run takes up to three to find out what is wrong with one."""
    on_notice = None
    """Called with (product_key, device_name, code, id) for what comes on /ext/error: forced
    offline (427, 521, 522, 6401), or a message that failed (520), whose id it is then. The names
    are None where the platform does not give them."""
    on_add = None
    """Called with a list of sub-devices that the platform wants in the topology."""
    on_change = None
    """Called with (status, list of sub-devices): 0 added, 1 deleted, 2 and 8 enabled, disabled."""

    def __init__(self, session, sign_method="hmacsha256"):
        super().__init__(session, sign_method)
        self._next = time.ticks_ms()

    # --- all at once

    def bring_online(self, subdevices=None, each=None):
        """Bring sub-devices online, however far each of them is: their count that are now.

        Registers those without a certificate on flash, stores it, adds them to the topology, logs
        all in; those that the platform does not know in the topology are added, and those whose
        certificate it no longer accepts are registered again. None stands for all stored ones.
        `each` is called after every batch; it may publish, subscribe, and call `wait(0)`.
        """
        if subdevices is None:
            return self._run_all(self._stored(None), each)
        subs.check(subdevices, self.names)
        found = ((batch, self.store.find(batch)) for batch in subs.batches(subdevices, _BATCH))
        return self._run_all(found, each)

    def reconnected(self, each=None):
        """Log in again, after the gateway's session came back, who was online before: their count.

        Not those who logged out or were forced offline since. Waits where the platform's limit of
        logins asks for it.
        """
        return self._run_all(self._stored(self.online), each)

    def _stored(self, marks):
        for page in range(self.store.pages):
            known = self.store.page(page)
            batch = [names for names in known if not marks or _bit(marks, known[names][0])]
            if batch:
                yield batch, known

    def _run_all(self, found, each):
        wait = time.ticks_diff(self._next, time.ticks_ms())
        if not 0 < wait <= self.spacing:
            wait = 0
        self._next = time.ticks_add(time.ticks_ms(), wait + self.spacing)
        count = 0
        first = None
        for batch, known in found:
            if wait and any(
                _bit(self.online, known[names][0]) for names in batch if names in known
            ):
                self.hear(wait)
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

    def register(self, subdevices, each=None):
        """Register sub-devices and store their certificates on flash, read back.

        They must be pre-registered. One whose certificate is on flash is not asked for again.
        """

        def work(batch):
            known = self.store.find(batch)
            return self.settle(self.registration, [n for n in batch if n not in known])

        self._each_batch(subdevices, work, each)

    def product_register(self, subdevices, product_secret, each=None):
        """Register sub-devices of one product with its ProductSecret; take them from elsewhere.

        Their certificates are stored like those of `register`, in place of older ones.
        """
        if not subs.is_secret(product_secret):
            raise ConfigError("product_secret: expected 1 to 64 printable characters, no space")

        def ask(batch):
            return self.product_registration(batch, product_secret)

        self._each_batch(subdevices, lambda batch: self.settle(ask, batch), each)

    def add_topology(self, subdevices, each=None):
        """Tell the platform that these sub-devices are this gateway's."""
        self._each_batch(subdevices, lambda batch: self.with_known(self.add, batch), each)

    def delete_topology(self, subdevices, each=None):
        """Take sub-devices out of the topology; the platform logs them out."""
        self._each_batch(subdevices, lambda batch: self.named("thing/topo/delete", batch), each)

    def found(self, subdevices, each=None):
        """Report sub-devices that the gateway came across."""
        self._each_batch(subdevices, lambda batch: self.named("thing/list/found", batch), each)

    def login(self, subdevices, each=None):
        """Log sub-devices in: from then on they are online. They must be in the topology."""
        self._each_batch(subdevices, lambda batch: self.with_known(self.log_in, batch), each)

    def logout(self, subdevices, each=None):
        """Log sub-devices out."""
        self._each_batch(subdevices, lambda batch: self.named("combine/logout", batch), each)

    def forget(self, subdevices):
        """Remove the certificates of sub-devices from flash. Raises StoreError."""
        subs.check(subdevices, self.names)
        for batch in subs.batches(subdevices, _BATCH):
            self.mark(batch, False)
            self.store.remove(batch)

    def topology(self, each):
        """Call each(product_key, device_name) for all sub-devices in the topology: their count.

        The answer may be longer than memory: `each` is called while it comes in, must not use
        the session, and may see a sub-device twice where an older answer comes late.
        """
        from .topology import Reader

        reader = Reader(self._topic("thing/topo/get_reply").encode(), each)

        def ask(batch):
            return self.ask("thing/topo/get", batch, batch, "{", "}", reader.answer)

        reader.tap(self.session.sock)
        try:
            self.insist(ask, ())
        finally:
            reader.untap()
        return reader.count

    def _each_batch(self, subdevices, work, each):
        subs.check(subdevices, self.names)
        first = None
        for batch in subs.batches(subdevices, _BATCH):
            first = first or _report(batch, work(batch), each)
        if first:
            raise first

    # --- what comes in

    def wait(self, ms):
        """Like `Session.wait`, but keeps what is for the gateway: see `handle`."""
        until = time.ticks_add(time.ticks_ms(), ms)
        while True:
            left = time.ticks_diff(until, time.ticks_ms())
            message = self.session.wait(max(0, left))
            if message is None or not self.handle(message[0], message[1]):
                return message

    def handle(self, topic, payload):
        """Take in a message if it is for the gateway: bool.

        For an application that is given messages by `device.run`. Calls `on_notice`, `on_add` or
        `on_change`, which may use the gateway; drops replies that nobody waits for any more.
        """
        if self.is_reply(topic):
            return True
        if not topic.startswith(b"/ext/error/") and not topic.startswith(self._thing + b"topo/"):
            return False  # most messages: what follows is not even loaded for them
        from . import notices

        return notices.handle(self, topic, payload)

    # --- sub-devices' own messages

    def topic(self, product_key, device_name, tail):
        """A sub-device's topic: `/sys/../../{tail}`, or `tail` itself below its names after `/`.

        "thing/event/property/post" is a system topic, "/user/update" one of the product's own.
        """
        subs.check_one((product_key, device_name), self.names)
        root = "/{}/{}{}" if tail.startswith("/") else "/sys/{}/{}/{}"
        return root.format(product_key, device_name, tail)

    def publish(self, product_key, device_name, tail, payload, qos=0):
        """Publish for a sub-device that is online. See `topic` for `tail`, `Session.publish`.

        A QoS 1 message whose connection is lost is not sent again by the next connect: the
        sub-device is not online then.
        """
        topic = self.topic(product_key, device_name, tail)
        try:
            self.session.publish(topic, payload, qos=qos)
        except Retryable:
            self.session.unacked = None
            raise

    def subscribe(self, product_key, device_name, tail):
        """Subscribe to a sub-device's topic, as long as it is online: subscribe in `each`.

        System topics need no subscription. Raises RefusedError when the platform refuses it.
        """
        session = self.session
        topic = self.topic(product_key, device_name, tail).encode()
        session.subscribe(topic)
        # The session would subscribe again at its next connect, when the sub-device is offline.
        session.topics.remove(topic)


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
