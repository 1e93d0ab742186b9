"""A gateway and its sub-devices: registration, topology, login, and their messages.

    gateway = Gateway(session)                # the gateway's own Session, from Device.connect()
    gateway.bring_online([("a1SensorKey0", "sensor-001"), ...])
    gateway.publish("a1SensorKey0", "sensor-001", "thing/event/property/post", payload)

A sub-device is a tuple (ProductKey, DeviceName). A list of them is any iterable of up to 2,000
that can be iterated more than once; memory does not grow with their number. It is checked before
anything is sent: ValueError or TypeError names the wrong entry. If the platform refuses a batch,
its sub-devices are tried one by one to find the bad one. `each`, if given, is called with
(product_key, device_name, error) for each sub-device, error being None or an IotError; without it,
the first error is raised once all others are done.

Other errors are raised at once: StoreError, and NetworkError, ProtocolError and BusyError if
retries did not help (see `talk`). Messages that arrive meanwhile stay in the session's inbox.

This module stays loaded. The rest of the package is loaded for each call and unloaded after it,
which costs flash reads each time. An application that logs sub-devices in and out all day can keep
it loaded: `import aliyun_iot.gateway.steps, aliyun_iot.gateway.signed`.
"""

from micropython import const

from .. import Retryable, os, phase, time

_MARKS = const(252)  # bytes: a bit for each place of `store`


class Gateway:
    """Manages a gateway's sub-devices over the gateway's own session.

    session: a connected Session; the same one after each reconnect. sign_method: hmacmd5,
    hmacsha1 or hmacsha256. Raises ValueError for another one.
    """

    timeout = 10000  # milliseconds for the answer to a request, or without progress in a long one
    tries = 3  # attempts at a request without an answer
    busy = 20000  # milliseconds before a retry if the platform was busy
    spacing = 20000
    """Milliseconds between runs that log in the same sub-devices again. The platform allows five
    logins a minute, and a run takes up to three to find out what is wrong with a sub-device."""
    on_notice = None
    """Called with (product_key, device_name, code, id) for a notice on /ext/error: forced offline
    (427, 521, 522, 6401), or a message that failed (520) and its id. The names are None if the
    platform does not give them."""
    on_add = None
    """Called with a list of sub-devices that the platform wants added to the topology."""
    on_change = None
    """Called with (status, list of sub-devices): 0 added, 1 deleted, 2 enabled, 8 disabled."""

    def __init__(self, session, sign_method="hmacsha256"):
        self.session = session
        self.sign_method = sign_method.lower()
        if self.sign_method not in ("hmacmd5", "hmacsha1", "hmacsha256"):
            raise ValueError("sign_method: expected hmacmd5, hmacsha1 or hmacsha256")
        self.online = bytearray(_MARKS)  # which sub-devices to log in after a reconnect
        # Random, so that late replies to requests from before a reset do not match.
        self.number = int.from_bytes(os.urandom(4), "big")
        self.due = self.next = time.ticks_ms()  # when the next request, the next run, may begin
        self.talk = None  # set during a call

    # --- all at once

    def bring_online(self, subdevices=None, each=None):
        """Bring sub-devices online, whatever state each is in: how many are online now, int.

        Registers those without a certificate on flash, stores it, adds them to the topology and
        logs all of them in. Those missing from the topology are added, and those whose certificate
        is no longer accepted are registered again. None means all stored ones. `each` is called
        after every batch; it may use the gateway, and call `wait(0)`.
        """
        return self._begin("gateway.online.bring_online", subdevices, each)

    def reconnected(self, each=None):
        """Log the sub-devices in again that were online before a reconnect: how many, int.

        Leaves out those that have logged out or were forced offline since. Waits if the platform's
        limit of logins requires it.
        """
        return self._begin("gateway.online.reconnected", each)

    # --- step by step

    def register(self, subdevices, each=None):
        """Register sub-devices and store their certificates on flash, read back.

        They must be pre-registered. Those whose certificate is already on flash are skipped.
        """
        self._begin("gateway.steps.register", subdevices, each)

    def product_register(self, subdevices, product_secret, each=None):
        """Register sub-devices of one product with its ProductSecret, even if another gateway has
        registered them. Their certificates are stored as by `register`, replacing older ones.
        """
        self._begin("gateway.steps.product_register", subdevices, product_secret, each)

    def add_topology(self, subdevices, each=None):
        """Add sub-devices to this gateway's topology."""
        self._begin("gateway.steps.certified", "add", subdevices, each)

    def delete_topology(self, subdevices, each=None):
        """Remove sub-devices from the topology; the platform logs them out."""
        self._begin("gateway.steps.named", "thing/topo/delete", subdevices, each)

    def found(self, subdevices, each=None):
        """Report sub-devices that the gateway has found."""
        self._begin("gateway.steps.named", "thing/list/found", subdevices, each)

    def login(self, subdevices, each=None):
        """Log sub-devices in, so that they are online. They must be in the topology."""
        self._begin("gateway.steps.certified", "login", subdevices, each)

    def logout(self, subdevices, each=None):
        """Log sub-devices out."""
        self._begin("gateway.steps.named", "combine/logout", subdevices, each)

    def forget(self, subdevices):
        """Delete the certificates of sub-devices from flash. Raises StoreError."""
        self._begin("gateway.steps.forget", subdevices)

    def topology(self, each):
        """Call each(product_key, device_name) for all sub-devices in the topology: how many, int.

        The answer may not fit in memory, so `each` is called while it arrives. It must not use the
        session, and may see a sub-device twice if the answer to an earlier attempt arrives late.
        """
        return self._begin("gateway.steps.topology", each)

    def mark(self, subdevices, online):
        """Set whether `reconnected` logs these stored sub-devices in. online: bool."""
        self._begin("gateway.steps.marking", subdevices, online)

    def _begin(self, what, *args):
        if self.talk:  # called from within `each`
            self.talk.store.searched += 1000  # it may save what the outer call has yet to look up
            return phase(what, self.talk, *args)
        return phase("gateway.talk.begin", self, what, args)

    def marks(self, at, online=None):
        """Whether to log in the sub-device at a place of the store: bool. online: set it."""
        bit = 1 << (at & 7)
        if online is not None:
            self.online[at >> 3] = self.online[at >> 3] & ~bit | (bit if online else 0)
        return self.online[at >> 3] & bit > 0

    # --- incoming messages

    def wait(self, ms):
        """Like `Session.wait`, but passes messages for the gateway to `handle`."""
        until = time.ticks_add(time.ticks_ms(), ms)
        while True:
            left = time.ticks_diff(until, time.ticks_ms())
            message = self.session.wait(max(0, left))
            if message is None or not self.handle(message[0], message[1]):
                return message

    def handle(self, topic, payload):
        """Handle a message if it is for the gateway: whether it was, bool.

        For applications that get their messages from `device.run`. Calls `on_notice`, `on_add` or
        `on_change`, which may use the gateway; drops late replies.
        """
        if topic.startswith(b"/ext/session/"):
            return True
        own = self.session.topic("").encode() + b"thing/"
        kind = topic[len(own) :].split(b"/")[0] if topic.startswith(own) else b""
        if kind in (b"sub", b"topo", b"list", b"proxy") and topic.endswith(b"_reply"):
            return True
        if kind != b"topo" and not topic.startswith(b"/ext/error/"):
            return False
        return phase("gateway.notices.handle", self, topic, payload)

    # --- sub-devices' own messages

    def topic(self, product_key, device_name, tail):
        """A topic of a sub-device: `/sys/{ProductKey}/{DeviceName}/{tail}`, or, if `tail` begins
        with a slash, `/{ProductKey}/{DeviceName}{tail}`.

        "thing/event/property/post" is a system topic, "/user/update" a custom one.
        Raises TypeError or ValueError for a part that is not allowed.
        """
        for what, text, least, most in (
            ("product_key", product_key, 1, 20),
            ("device_name", device_name, 4, 32),
            ("tail", tail, 1, 128),
        ):
            if not isinstance(text, str):
                raise TypeError(what + ": expected text")
            if not least <= len(text) <= most:
                raise ValueError("{}: expected {} to {} characters".format(what, least, most))
        for byte in (product_key + device_name).encode():
            if byte in b"/+#\0":
                raise ValueError("product_key, device_name: expected none of / + #")
        if tail[0] == "/":
            return "/".join(("", product_key, device_name)) + tail
        return "/sys/{}/{}/{}".format(product_key, device_name, tail)

    def publish(self, product_key, device_name, tail, payload, qos=0):
        """Publish for a sub-device that is online. See `topic` for `tail`, `Session.publish`.

        Unlike the gateway's own, a QoS 1 message is not sent again after a reconnect, as the
        sub-device is not online then.
        """
        topic = self.topic(product_key, device_name, tail)
        kept = self.session.unacked  # the gateway's own, if anything
        try:
            self.session.publish(topic, payload, qos=qos)
        except Retryable:
            self.session.unacked = kept
            raise

    def subscribe(self, product_key, device_name, tail):
        """Subscribe to a sub-device's topic. It lasts while the sub-device is online, so subscribe
        in `each`. System topics need no subscription. Raises RefusedError if the platform refuses.
        """
        session = self.session
        topic = self.topic(product_key, device_name, tail).encode()
        session.subscribe(topic)
        # Or the session would subscribe again at its next connect, with the sub-device offline.
        session.topics.remove(topic)


def drop(payload, left):
    """Discard a late reply; see `Session._deliver`."""
