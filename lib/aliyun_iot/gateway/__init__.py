"""A gateway's conversation about its sub-devices: register, topology, login, and what they say.

    gateway = Gateway(session)                # the gateway's own Session, from Device.connect()
    gateway.bring_online([("a1SensorKey0", "sensor-001"), ...])
    gateway.publish("a1SensorKey0", "sensor-001", "thing/event/property/post", payload)

A sub-device is a tuple (ProductKey, DeviceName). Wherever a list of them is taken, anything will
do that can be gone through repeatedly, of up to 2,000; memory does not grow with their number.
The list is checked before anything is sent: ValueError or TypeError names the entry that is
wrong. Batches that the platform refuses are asked for one by one to find the bad one. `each`,
where given, is called with (product_key, device_name, error) for each sub-device, error being
None or an IotError; without it the first error is raised when all others are done.

Beside those, NetworkError, ProtocolError and BusyError are raised at once where asking again did
not help (see `talk`), and StoreError. Messages that come meanwhile stay in the session's inbox.

This module stays loaded. The rest of the package is loaded for one call and unloaded after it,
which costs reads of the flash each time; an application that logs sub-devices in and out all day
keeps that by `import aliyun_iot.gateway.steps, aliyun_iot.gateway.signed`.
"""

from micropython import const

from .. import Retryable, os, phase, time

_MARKS = const(252)  # bytes: a bit for each place of `store`


class Gateway:
    """What a gateway does for its sub-devices, over its own session.

    session: a connected Session; the same one after each reconnect. sign_method: hmacmd5,
    hmacsha1 or hmacsha256; ValueError for another.
    """

    timeout = 10000  # milliseconds for the answer to a request, or without progress in a long one
    tries = 3  # of a request without an answer
    busy = 20000  # milliseconds until a request is made again that the platform was too busy for
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
        self.session = session
        self.sign_method = sign_method.lower()
        if self.sign_method not in ("hmacmd5", "hmacsha1", "hmacsha256"):
            raise ValueError("sign_method: expected hmacmd5, hmacsha1 or hmacsha256")
        self.online = bytearray(_MARKS)  # who is to be online after a reconnect
        self.number = int.from_bytes(os.urandom(4), "big")  # unlike what a reset left unanswered
        self.due = self.next = time.ticks_ms()  # when the next request, the next run, may begin
        self.talk = None  # while a call is under way

    # --- all at once

    def bring_online(self, subdevices=None, each=None):
        """Bring sub-devices online, however far each of them is: their count that are now.

        Registers those without a certificate on flash, stores it, adds them to the topology, logs
        all in; those that the platform does not know in the topology are added, and those whose
        certificate it no longer accepts are registered again. None stands for all stored ones.
        `each` is called after every batch; it may use the gateway, and call `wait(0)`.
        """
        return self._begin("gateway.online.bring_online", subdevices, each)

    def reconnected(self, each=None):
        """Log in again, after the gateway's session came back, who was online before: their count.

        Not those who logged out or were forced offline since. Waits where the platform's limit of
        logins asks for it.
        """
        return self._begin("gateway.online.reconnected", each)

    # --- step by step

    def register(self, subdevices, each=None):
        """Register sub-devices and store their certificates on flash, read back.

        They must be pre-registered. One whose certificate is on flash is not asked for again.
        """
        self._begin("gateway.steps.register", subdevices, each)

    def product_register(self, subdevices, product_secret, each=None):
        """Register sub-devices of one product with its ProductSecret; take them from elsewhere.

        Their certificates are stored like those of `register`, in place of older ones.
        """
        self._begin("gateway.steps.product_register", subdevices, product_secret, each)

    def add_topology(self, subdevices, each=None):
        """Tell the platform that these sub-devices are this gateway's."""
        self._begin("gateway.steps.certified", "add", subdevices, each)

    def delete_topology(self, subdevices, each=None):
        """Take sub-devices out of the topology; the platform logs them out."""
        self._begin("gateway.steps.named", "thing/topo/delete", subdevices, each)

    def found(self, subdevices, each=None):
        """Report sub-devices that the gateway came across."""
        self._begin("gateway.steps.named", "thing/list/found", subdevices, each)

    def login(self, subdevices, each=None):
        """Log sub-devices in: from then on they are online. They must be in the topology."""
        self._begin("gateway.steps.certified", "login", subdevices, each)

    def logout(self, subdevices, each=None):
        """Log sub-devices out."""
        self._begin("gateway.steps.named", "combine/logout", subdevices, each)

    def forget(self, subdevices):
        """Remove the certificates of sub-devices from flash. Raises StoreError."""
        self._begin("gateway.steps.forget", subdevices)

    def topology(self, each):
        """Call each(product_key, device_name) for all sub-devices in the topology: their count.

        The answer may be longer than memory: `each` is called while it comes in, must not use
        the session, and may see a sub-device twice where an older answer comes late.
        """
        return self._begin("gateway.steps.topology", each)

    def mark(self, subdevices, online):
        """Note that stored sub-devices are, or are not, to be online after a reconnect."""
        self._begin("gateway.steps.marking", subdevices, online)

    def _begin(self, what, *args):
        if self.talk:  # called from within `each`
            self.talk.store.searched += 1000  # what is saved may be on the other call's list
            return phase(what, self.talk, *args)
        return phase("gateway.talk.begin", self, what, args)

    def marks(self, at, online=None):
        """Whether who is at a place of the store is to be online: bool. online: note it."""
        bit = 1 << (at & 7)
        if online is not None:
            self.online[at >> 3] = self.online[at >> 3] & ~bit | (bit if online else 0)
        return self.online[at >> 3] & bit > 0

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
        """A sub-device's topic: `/sys/../../{tail}`, or `tail` itself below its names after `/`.

        "thing/event/property/post" is a system topic, "/user/update" one of the product's own.
        Raises TypeError or ValueError for what can be no part of one.
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

        A QoS 1 message whose connection is lost is not sent again by the next connect: the
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
        """Subscribe to a sub-device's topic, as long as it is online: subscribe in `each`.

        System topics need no subscription. Raises RefusedError when the platform refuses it.
        """
        session = self.session
        topic = self.topic(product_key, device_name, tail).encode()
        session.subscribe(topic)
        # The session would subscribe again at its next connect, when the sub-device is offline.
        session.topics.remove(topic)


def drop(payload, left):
    """Read a reply that nobody waits for any more; see `Session.readers`."""
