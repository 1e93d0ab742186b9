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

What comes back after each lost connection stays loaded and reads no flash; the rest is a `phase`.
"""

import network
from micropython import const

import aliyun_iot

from . import log, phase, random, time, time_is_set
from .connection import Session
from .errors import ConfigError, IotError, RefusedError, TlsError

_PRODUCT = "/product.json"
_DEVICE = "/device.json"

_MINUTE = const(60000)
_CONNECTS = const(5)  # per device and minute, platform documentation "Limits"
_STAYED = const(60000)  # ms; a connection that held this long was a good one

# The first wait after an error that may pass by itself, ms; doubled each time. With it the
# shortest first five waits add up to more than a minute: the limit is not reached.
_FIRST = const(4000)
_MOST = const(300000)
_SLOW_FIRST = const(60000)  # after a refusal: only somebody's doing can help, but it may be done
_SLOW_MOST = const(1800000)

_LITTLE = const(10000)  # bytes: the network's memory in one piece, below which packets are lost


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    timeout = 20000  # milliseconds for one registration, from name look-up to answer
    feed = None  # called where writing the flash takes long, see `run`

    def __init__(self, product, record, context, untrusted=None):
        self.product = product  # settings and product certificate, see `identity.product`
        self.session = None
        self._record = record  # device certificate, or None: not registered
        self._context = context
        self._untrusted = untrusted  # the TlsError for roots that could not be loaded
        self._packet = None  # the CONNECT: it holds no time, so it serves for every connect

    @staticmethod
    def load(device_name=None):
        """Read what flash knows of this device; no network. See `open`."""
        import tls

        # Before all else: it wants 3 kB in one piece, which a heap in use may not have.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        return phase(_load, context, device_name)

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
        context = self._trust()
        try:
            self._record = phase(_enrol, self.product, context, self.timeout)
        except TlsError as e:
            raise _explained(e)
        self._packet = None

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: it opens the same door.
        """
        return phase(_credentials, self.product, self._record)

    def prepare(self):
        """Make ready to connect: (the Session, the CONNECT packet as bytes). No network."""
        if self._packet is None:
            context = None if self.product["securemode"] == 3 else self._trust()
            self._packet, host = phase(_login, self.product, self._record)
            if self.session is None:
                self.session = self._new_session(host, context)
        return self.session, self._packet

    def connect(self):
        """Connect over MQTT, or connect again: a Session, the same one each time.

        Its subscriptions are made again, and a QoS 1 message whose acknowledgement is missing
        is sent again. Raises what `Session.connect` raises; RefusedError with code 4 or 5 means
        that the platform does not accept the DeviceSecret.
        """
        session, packet = self.prepare()
        try:
            session.connect(packet)
        except TlsError as e:
            raise _explained(e)
        self.connected()
        return session

    def connected(self):
        """Do what is due after a connect: forget the ProductSecret, where that is wanted."""
        log("connected as", self.session.device_name)
        if self.product.get("forgetProductSecret") and phase(_scrub, self.feed):
            self.product["forgetProductSecret"] = self.product["productSecret"] = None

    def _new_session(self, host, context):
        product = self.product
        if context is None:
            log("WARNING: securemode 3: the connection is not encrypted and not verified")
        port = product.get("mqttPort") or (443 if context else 1883)
        key = self._record.get("productKey") or product.get("productKey")
        name = self._record["deviceName"]
        return Session(key, name, host, port, product["keepalive"], context)

    def _trust(self):
        if self._untrusted:
            raise self._untrusted
        return self._context


# --- phases: what each needs is loaded for it, and unloaded after


def _load(context, name):
    from .identity import load, trust

    product, record = load(_PRODUCT, _DEVICE, name)
    untrusted = None
    try:
        trust(context, product["roots"])
    except TlsError as e:
        untrusted = e  # a device that wants no TLS can do without
    return Device(product, record, context, untrusted)


def _enrol(product, context, ms):
    from .registration import enrol

    return enrol(product, _DEVICE, context, ms)


def _credentials(product, record):
    from .credentials import login

    return login(product, record)


def _login(product, record):
    from .credentials import connect_packet, host, login

    packet = connect_packet(*login(product, record), product["keepalive"])
    return packet, host(product, record.get("productKey") or product.get("productKey"))


def _scrub(feed):
    from .scrub import product_secret

    return product_secret(_PRODUCT, feed)


def _restore():
    from .network import restore

    restore()


def _explained(e):
    return e if time_is_set() else TlsError("{} (the clock was never set: no NTP)".format(e))


class Retry:
    """When to try again: growing waits with jitter, inside the platform's 5 connects a minute."""

    def __init__(self, device):
        self.asking = False  # whether the next try begins with a registration
        self._device = device
        self._begun = []  # when the latest tries to connect or register began, ticks_ms
        self._failures = 0  # in a row
        self._online = None  # when the connection came, ticks_ms
        self._kicked = False

    def begin(self):
        """Prepare for a try, note that it begins: milliseconds that the limit makes it wait."""
        self._online = None
        station = network.WLAN(network.STA_IF)
        if not time_is_set() or (station.active() and not station.isconnected()):
            phase(_restore)
        wait = self.barred()
        self._begun.append(time.ticks_add(time.ticks_ms(), wait))
        if len(self._begun) > _CONNECTS:
            self._begun.pop(0)
        return wait

    def online(self):
        """Note that the device is connected, and later that it still is."""
        now = time.ticks_ms()
        if self._online is None:
            self._online = now
        elif self._failures:
            # At once: after six days ticks_diff takes it for short. Two boards with one identity
            # end each other's connections, which hold as long as the other one waits.
            stayed = _SLOW_MOST if self._kicked else _STAYED
            if time.ticks_diff(now, self._online) >= stayed:
                self._failures = 0
                self._kicked = False

    def failed(self, e):
        """Take in that the try or the connection ended with `e`: milliseconds to wait."""
        device = self._device
        slow = not e.retry
        if isinstance(e, RefusedError) and not self.asking and self._online is None:
            # Keep it: it may be right again when an operator has acted. But ask for another.
            self.asking = e.code in (4, 5) and bool(device.product.get("productSecret"))
        else:
            self.asking = not device.registered()
        if isinstance(e, TlsError):
            # It may be NTP that lied: ask again; without an answer, back to the floor. But only
            # where nothing else is wrong with the certificate: a portal's own must not cost a
            # clock that is right.
            alone = str(e).endswith("has expired")
            aliyun_iot.time_source = "expired" if alone else "floor"
        if device.session and device.session.kicked:
            slow = self._kicked = True
        wait = self.span(self._failures, slow)
        self._failures += 1
        log("{}; trying again in {} s".format(e, (wait + 999) // 1000))
        return wait

    def span(self, failures, slow=False):
        """Milliseconds to wait before the next try, int.

        Each wait lies between half and one and a half of a span that doubles: devices that failed
        together do not come back together. failures: how many in a row there were before this one.
        slow: the error needs somebody to act.
        """
        first, most = (_SLOW_FIRST, _SLOW_MOST) if slow else (_FIRST, _MOST)
        middle = min(first << min(failures, 12), most)
        jitter = random.getrandbits(16)
        limit = self.barred()
        # A wait for the limit gets jitter as well: all of a fleet would end it together.
        return max(middle // 2 + jitter * middle // 65536, limit and limit + jitter)

    def barred(self):
        """Milliseconds until the platform's limit lets another try begin, int."""
        if len(self._begun) < _CONNECTS:
            return 0
        ago = time.ticks_diff(time.ticks_ms(), self._begun[0])
        # After six days ticks_diff may take a long time ago for the future.
        return _MINUTE - ago if 0 <= ago < _MINUTE else 0


def memory_is_short():
    """Whether the firmware's heap, which Wi-Fi, lwIP and TLS live on, is too small: bool.

    When the Python heap grows it takes that memory, and never gives it back: packets are lost,
    and connections die, for no other reason to be seen.
    """
    try:
        import esp32

        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    except (ImportError, AttributeError):
        return False
    return max([region[2] for region in regions]) < _LITTLE


def _sleep(ms, feed):
    while ms > 0:  # up to 45 minutes, in pieces that a watchdog can bear
        if feed:
            feed()
        time.sleep_ms(min(ms, 1000))
        ms -= 1000


def run(
    on_connect=None, on_message=None, on_idle=None, device_name=None, feed=None, on_given_up=None
):
    """Bring the device online and keep it there, for ever.

    on_connect(session): after each connect. on_message(session, topic, payload): for each
    message, bytes both. on_idle(session): about once a second, messages or not.
    on_given_up(session, topic, payload): a message with QoS 1 was tried three times in vain.
    feed(): for a watchdog: about once a second online and while it waits, and before each step of
    a try. A step takes up to 15 s for each network of wifi.json, 20 s for connecting, 10 s for
    each topic subscribed again, and however long on_connect takes.
    Errors of network and platform are said, waited out (`Retry`) and tried again, the fatal ones
    slowly: an operator may have mended them. Raises ConfigError, which waiting cannot mend, and
    whatever the application's own functions raise, the connection being closed first.
    """
    device = Device.load(device_name)
    device.feed = feed
    retry = Retry(device)
    retry.asking = not device.registered()
    said = False  # that the memory is short
    try:
        while True:
            try:
                if retry.asking:
                    _begin(retry, feed)
                    device.register()
                    retry.asking = False
                _begin(retry, feed)
                session = device.connect()
                retry.online()
                if on_connect:
                    on_connect(session)
                idle = time.ticks_ms()
                while True:
                    left = time.ticks_diff(time.ticks_add(idle, 1000), time.ticks_ms())
                    message = session.wait(max(0, min(left, 1000)))
                    if message and on_message:
                        on_message(session, *message)
                    if not 0 <= time.ticks_diff(time.ticks_ms(), idle) < 1000:
                        idle = time.ticks_ms()
                        retry.online()
                        if not said and memory_is_short():
                            said = True
                            log("memory: the Python heap has grown into the network's; see docs")
                        if on_idle:
                            on_idle(session)
                        if feed:
                            feed()
            except ConfigError:
                raise
            except IotError as e:
                wait = retry.failed(e)
            if device.session and device.session.given_up and on_given_up:
                topic, payload = device.session.given_up
                device.session.given_up = None
                on_given_up(device.session, topic, payload)
            _sleep(wait, feed)
    finally:
        if device.session:
            device.session.close()


def _begin(retry, feed):
    if feed:
        feed()
    wait = retry.begin()
    _sleep(wait, feed)
    if feed:
        feed()
