"""A device and the order of its life: load, register, store, connect.

What is on flash decides what happens at boot:

    device.json  product.json           what happens
    valid        any                    connect; registration code is never imported
    absent       with ProductSecret     register; store; read back; only then connect
    absent       without, or absent     ConfigError: which file, which field
    valid, but refused (CONNACK 4, 5)   keep it; try where it was known good (`moving`); ask to
                                        register again, slowly; only a new secret, stored and
                                        read back, takes its place

Absent is everything that is not a whole record of this device: missing, empty, torn, garbled,
another device's. The platform gives a new DeviceSecret at every registration until the first
connect with one, and only the latest counts; so a lost answer or a power cut costs one more
registration, never the identity.
"""

from micropython import const

from . import ConfigError, IotError, log, phase, time, time_is_set

# Bytes of the network's memory in one piece, below which packets are lost: when the Python heap
# grows it takes that memory, and never gives it back.
_LITTLE = const(10000)


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    timeout = 20000  # milliseconds for one registration, from name look-up to answer

    def __init__(self, device_name, product, record, context, untrusted):
        self.session = None
        self.feed = None  # called where writing the flash takes long, and in waits: see `run`
        self.record = record  # device certificate, or None: not registered
        self.name = device_name
        self.product = product  # see `settings`
        self.packet = None  # see `login`
        self._context = context
        self._untrusted = untrusted  # the TlsError for roots that could not be loaded
        self.can_ask = bool(product.get("productSecret"))  # whether it could register again
        self.forgets = product.get("forgetProductSecret")
        # What `connection` keeps from try to try.
        self.begun = []  # when the latest tries began, ticks_ms
        self.failures = 0  # in a row
        self.kicks = 0  # connections that another one of this identity ended
        self.since = None  # when the connection came, ticks_ms
        self.asking = record is None  # whether to register before the next connect

    @staticmethod
    def load(device_name=None):
        """Read what flash knows of this device; no network. See `open`."""
        import tls

        # Before all else: it wants 3 kB in one piece, which a heap in use may not have.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        return phase("identity.load", Device, context, device_name)

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
        return self.record is not None

    def register(self):
        """Register and put the identity on flash, read back, before returning.

        Raises NetworkError, TlsError, ProtocolError, BusyError, RefusedError (its `.code` is
        the platform's), StoreError. What is on flash is as before then.
        """
        from . import wire  # noqa: F401 - stays, where a phase would unload it

        phase("registration.enrol", self)

    def rotate(self):
        """Ask for a new DeviceSecret, and store it beside the old one; ends the connection.

        The next connect, which `run` makes by itself, proves the new one; only then the old one
        goes. The platform allows it after ResetThing. Raises what `register` raises; what is on
        flash is as before then.
        """
        phase("moving.rotate", self)

    def relocate(self, **fields):
        """Connect elsewhere from now on, with the same identity; ends the connection.

        fields: instanceId, region, mqttHost or mqttPort of product.json, which is rewritten;
        None takes one out. Where the identity is refused there, the old place is tried again.
        Raises ConfigError for a wrong value, StoreError; all is as before then.
        """
        phase("moving.relocate", self, fields)

    def settings(self):
        """What product.json holds, completed: a dict, see `identity.product`.

        Kept until `login`, and read again where it is needed later. Raises ConfigError.
        """
        return self.product or phase("identity.settings", self.name)

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: it opens the same door.
        """
        return phase("credentials.login", self.settings(), self.record)

    def connect(self):
        """Connect over MQTT, or connect again: a Session, the same one each time.

        Its subscriptions are made again, and a QoS 1 message whose acknowledgement is missing
        is sent again. Raises what `Session.connect` raises; RefusedError with code 4 or 5 means
        that the platform does not accept the DeviceSecret.
        """
        session = self.prepare()
        session.close()
        session.run(session.connecting(self.login()[0]))
        self.connected()
        return session

    def prepare(self):
        """The device's Session, which need not be connected."""
        if self.session is None:
            from .session import Session

            _, host, key, port, keepalive, encrypted = self.login()
            context = self.trust() if encrypted else None
            name = self.record["deviceName"]
            self.session = Session(key, name, host, port, keepalive, context)
            self.session.device = self
        return self.session

    def connected(self):
        """Do what is due after a connect."""
        self.since = time.ticks_ms()
        log("connected as", self.record["deviceName"])
        if self.forgets or not time_is_set():
            phase("connection.connected", self)

    def login(self):
        """What a connect takes: the CONNECT packet as bytes, the host, the ProductKey, the port,
        the keepalive in seconds, and whether it is to be over TLS.

        It holds no time, so one serves for every connect.
        """
        if self.packet is None:
            self.packet = phase("credentials.prepare", self.settings(), self.record)
            self.product = None  # that was the last use of the settings
        return self.packet

    def trust(self):
        """The TLS context that verifies. Raises TlsError where there are no roots to verify by."""
        if self._untrusted:
            raise self._untrusted
        return self._context


def run(
    on_connect=None, on_message=None, on_idle=None, device_name=None, feed=None, on_given_up=None
):
    """Bring the device online and keep it there, for ever.

    on_connect(session): after each connect. on_message(session, topic, payload): for each
    message, bytes both. on_idle(session): about once a second, messages or not.
    on_given_up(session, topic, payload): a message with QoS 1 was tried three times in vain.
    feed(): for a watchdog: about once a second online and while it waits, and before each step of
    a try. A step takes up to 15 s for each network of wifi.json (3 s more to look for several),
    20 s for connecting, 10 s for each topic subscribed again, and however long on_connect takes.
    Errors of network and platform are said, waited out and tried again, the fatal ones slowly: an
    operator may have mended them. Raises ConfigError, which waiting cannot mend, and whatever the
    application's own functions raise, the connection being closed first.
    """
    import esp32

    device = Device.load(device_name)
    device.feed = feed
    problem = None
    said = False  # that the memory is short
    try:
        while True:
            if device.registered():
                device.login()  # before the session fills the heap
            phase("connection.ready", device, problem)
            try:
                if device.asking:
                    device.asking = not device.registered()  # one that is refused is tried again
                    device.register()
                    problem = None
                    continue
                session = device.connect()
                if session.given_up and on_given_up:
                    message = session.given_up
                    session.given_up = None
                    on_given_up(session, *message)
                if on_connect:
                    on_connect(session)
                idle = time.ticks_ms()
                while True:
                    past = time.ticks_diff(time.ticks_ms(), idle)
                    if not 0 <= past < 1000:
                        past = 0
                        idle = time.ticks_ms()
                        if not said:
                            free = [region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)]
                            said = max(free) < _LITTLE
                            if said:
                                log("the Python heap has grown into the network's memory")
                        if on_idle:
                            on_idle(session)
                        if feed:
                            feed()
                    message = session.wait(1000 - past)
                    if message and on_message:
                        on_message(session, *message)
            except ConfigError:
                raise
            except IotError as e:
                problem = e
    finally:
        if device.session:
            device.session.close()
