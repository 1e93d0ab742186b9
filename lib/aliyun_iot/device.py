"""A device and the order of its life: load, register, store, connect.

What is on flash decides what happens at boot:

    device.json  product.json           what happens
    valid        any                    connect; registration code is never imported
    absent       with ProductSecret     register; store; read back; only then connect
    absent       without, or absent     ConfigError: which file, which field
    valid, but refused (CONNACK 4, 5)   keep it; ask to register again, slowly; only a new
                                        secret, stored and read back, takes its place

Absent is everything that is not a whole record of this device: missing, empty, torn, garbled,
another device's. The platform gives a new DeviceSecret at every registration until the first
connect with one, and only the latest counts; so a lost answer or a power cut costs one more
registration, never the identity.

Modules are imported where they are needed and unloaded after: a first boot never holds the code
for registering and the code for connecting at the same time.
"""

import time

from micropython import const

import aliyun_iot

from . import forget, time_is_set
from .errors import ConfigError, IotError, RefusedError, TlsError
from .log import log

_PRODUCT = "/product.json"
_DEVICE = "/device.json"
_STAYED_MS = const(60000)  # a connection that held this long was a good one


# What a step of the boot needs, and nothing after it.
_PASSING = (
    "certificate",
    "clock",
    "enrol",
    "hmac",
    "https",
    "identity",
    "mqtt",
    "nvs",
    "registration",
    "registration_codes",
    "registration_mqtt",
    "retry",
    "rules",
    "scrub",
    "sign",
    "store",
    "tls",
    "urlencode",
    "wifi",
)


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    timeout = 20000  # milliseconds for one registration, from name look-up to answer
    feed = None  # called where writing the flash takes long, see `run`

    def __init__(self, product, record, context):
        self.product = product  # settings and product certificate, see `certificate.product`
        self.session = None
        self._record = record  # device certificate, or None: not registered
        self._context = context
        self._trusts = False  # whether the context holds the roots yet

    @staticmethod
    def load(device_name=None):
        """Read what flash knows of this device; no network. See `open`."""
        import tls

        # Before all else: it wants 3 kB in one piece, which a heap in use may not have.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        from .identity import load

        try:
            product, record = load(_PRODUCT, _DEVICE, device_name)
        finally:
            forget(*_PASSING)
        return Device(product, record, context)

    @staticmethod
    def open(device_name=None):
        """Load this device, and register it if it has no identity yet.

        device_name: the DeviceName, str, where the application reads it from the device (a
            serial number, say); None to go by product.json, whose default is the MAC address.
        Returns a Device with an identity that is on flash. Raises ConfigError for a file that
        is wrong, and all that `register` raises.
        """
        device = Device.load(device_name)
        if not device.registered():
            device.register()
        return device

    def registered(self):
        """Whether there is an identity to connect with: bool."""
        return self._record is not None

    def register(self):
        """Register and put the identity on flash, read back, before returning.

        Raises NetworkError, TlsError, ProtocolError, BusyError, RefusedError (its `.code` is
        the platform's), StoreError. What is on flash is as before then.
        """
        from .enrol import enrol

        context = self._trust()
        try:
            self._record = enrol(self.product, _DEVICE, context, self.timeout)
        except TlsError as e:
            raise _explained(e)
        finally:
            forget(*_PASSING)

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: it opens the same door.
        """
        from .mqtt import login

        return login(self.product, self._record)

    def connect(self):
        """Connect over MQTT, or connect again: a Session, the same one each time.

        Its subscriptions are made again, and a QoS 1 message whose acknowledgement is missing
        is sent again. Raises what `Session.connect` raises; RefusedError with code 4 or 5 means
        that the platform does not accept the DeviceSecret.
        """
        from . import mqtt

        product = self.product
        key = self._record.get("productKey") or product.get("productKey")
        host = mqtt.host(product, key)
        if product["securemode"] != 3:
            self._trust()  # before the session fills the heap: a root is read in one piece
        client_id, user, password = self.credentials()
        packet = mqtt.connect_packet(client_id, user, password, product["keepalive"])
        del mqtt
        forget(*_PASSING)
        if self.session is None:
            self.session = self._new_session(key, host)
        try:
            self.session.connect(packet)
        except TlsError as e:
            raise _explained(e)
        log("connected as", self.session.device_name)
        if self.product.get("forgetProductSecret"):
            from .scrub import product_secret

            if product_secret(_PRODUCT, self.feed):
                self.product["forgetProductSecret"] = self.product["productSecret"] = None
            forget(*_PASSING)
        return self.session

    def _new_session(self, key, host):
        from .session import Session

        product = self.product
        port = product.get("mqttPort")
        context = None
        if product["securemode"] == 3:
            log("WARNING: securemode 3: the connection is not encrypted and not verified")
        else:
            context = self._trust()
        port = port or (443 if context else 1883)
        name = self._record["deviceName"]
        return Session(key, name, host, port, product["keepalive"], context)

    def _trust(self):
        if not self._trusts:
            from .tls import trust

            trust(self._context, self.product["roots"])
            self._trusts = True
            del trust
            forget("tls")
        return self._context


def _explained(e):
    return e if time_is_set() else TlsError("{} (the clock was never set: no NTP)".format(e))


def _ready(tries, feed):
    from .retry import ready

    if feed:
        feed()
    ready(tries)
    del ready
    forget(*_PASSING)
    if feed:
        feed()


def _sleep(ms, feed):
    while ms > 0:  # up to 45 minutes, in pieces that a watchdog can bear
        if feed:
            feed()
        time.sleep_ms(min(ms, 1000))
        ms -= 1000


def run(on_connect=None, on_message=None, on_idle=None, device_name=None, feed=None):
    """Bring the device online and keep it there, for ever.

    on_connect(session): after each connect. on_message(session, topic, payload): for each
    message, bytes both. on_idle(session): about once a second.
    feed(): for a watchdog: about once a second online and while it waits, and before each step of
    a try. A step takes up to 15 s for each network of wifi.json, 20 s for connecting, 10 s for
    each topic subscribed again, and however long on_connect takes.
    Errors of network and platform are said, waited out (`retry`) and tried again, the fatal ones
    slowly: an operator may have mended them. Raises ConfigError, which waiting cannot mend, and
    whatever the application's own functions raise.
    """
    device = Device.load(device_name)
    device.feed = feed
    tries: "list[int]" = []  # when the latest ones began, see `retry`
    failures = 0  # in a row
    refused = False  # the platform does not accept the stored secret
    while True:
        asking = refused or not device.registered()
        refused = False
        online = None
        try:
            if asking:
                _ready(tries, feed)
                device.register()
                asking = False
            _ready(tries, feed)
            session = device.connect()
            online = time.ticks_ms()
            if on_connect:
                on_connect(session)
            while True:
                message = session.wait(1000)
                if message and on_message:
                    on_message(session, *message)
                elif on_idle:
                    on_idle(session)
                if feed:
                    feed()
                if failures and time.ticks_diff(time.ticks_ms(), online) >= _STAYED_MS:
                    failures = 0  # at once: after six days ticks_diff takes it for short
        except ConfigError:
            raise
        except IotError as e:
            if isinstance(e, RefusedError) and not asking and online is None:
                # Keep it: it may be right again when an operator has acted. But ask for another.
                refused = e.code in (4, 5) and bool(device.product.get("productSecret"))
            elif isinstance(e, TlsError):
                # It may be NTP that lied: ask again; without an answer, back to the floor. But
                # only where nothing else is wrong with the certificate: a portal's own must not
                # cost a clock that is right.
                alone = str(e).endswith("has expired")
                aliyun_iot.time_source = "expired" if alone else "floor"
            from .retry import span

            wait = span(tries, failures, not e.retry)
            failures += 1
            log("{}; trying again in {} s".format(e, (wait + 999) // 1000))
        _sleep(wait, feed)
