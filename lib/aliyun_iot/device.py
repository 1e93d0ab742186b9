"""A device from boot to connection: load, register, store, connect.

What happens at boot depends on what is on flash:

    device.json  product.json           what happens
    valid        any                    connect; registration code is never imported
    absent       with ProductSecret     register; store; read back; only then connect
    absent       without, or absent     ConfigError: which file, which field
    valid, but refused (CONNACK 4, 5)   keep it; try the place where it last worked (`moving`);
                                        keep asking to register, slowly; only a new secret that
                                        is stored and read back replaces it

"Absent" is anything but a complete record of this device: missing, empty, torn, garbled, another
device's. The platform issues a new DeviceSecret at every registration until the first connect with
one, and only the latest counts. So a lost answer or a power cut costs one more registration, never
the identity.
"""

from micropython import const

from . import ConfigError, IotError, log, phase, time, time_is_set

# Largest free block of the network's memory, in bytes, below which packets are lost. The Python
# heap takes that memory when it grows, and never gives it back.
_LITTLE = const(10000)


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    timeout = 20000  # milliseconds for one registration, from DNS look-up to answer

    def __init__(self, device_name, product, record, context, untrusted):
        self.session = None
        self.feed = None  # called during long flash writes and waits: see `run`
        self.record = record  # device certificate, or None: not registered
        self.name = device_name
        self.product = product  # see `settings`
        self.packet = None  # see `login`
        self._context = context
        self._untrusted = untrusted  # the TlsError if the trust roots could not be loaded
        self.can_ask = bool(product.get("productSecret"))  # whether it can register again
        self.forgets = product.get("forgetProductSecret")
        # State of `connection`, kept between attempts.
        self.begun = []  # when the latest attempts began, ticks_ms
        self.failures = 0  # in a row
        self.kicks = 0  # connections ended by another device with this identity
        self.since = None  # when the connection was made, ticks_ms
        self.asking = record is None  # whether to register before the next connect

    @staticmethod
    def load(device_name=None):
        """Read this device's configuration and identity from flash, without a network: a Device.

        See `open` for device_name and errors.
        """
        import tls

        # First: it takes a block of 3 kB, which a heap in use may not have.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        return phase("identity.load", Device, context, device_name)

    @staticmethod
    def open(device_name=None):
        """Load this device, and register it if it has no identity yet.

        device_name: the DeviceName, str, if the application reads it from the device (a serial
            number, for example); None to use product.json, whose default is the MAC address.
        Returns a Device whose identity is on flash. Raises ConfigError for a wrong file, and
        whatever `register` raises.
        """
        device = Device.load(device_name)
        if not device.registered():
            device.register()
        return device

    def registered(self):
        """Whether the device has an identity to connect with: bool."""
        return self.record is not None

    def register(self):
        """Register, write the identity to flash and read it back before returning.

        Raises NetworkError, TlsError, ProtocolError, BusyError, RefusedError (`.code` is the
        platform's) or StoreError; the flash is unchanged then.
        """
        from . import wire  # noqa: F401 - loaded here, so that the phase does not unload it

        phase("registration.enrol", self)

    def rotate(self):
        """Request a new DeviceSecret and store it beside the old one; closes the connection.

        The next connect, which `run` makes by itself, tries the new secret; only when that has
        worked is the old one deleted. The platform allows it after ResetThing. Raises what
        `register` raises; the flash is unchanged then.
        """
        phase("moving.rotate", self)

    def relocate(self, **fields):
        """Connect to another place from now on, with the same identity; closes the connection.

        fields: instanceId, region, mqttHost or mqttPort of product.json, which is rewritten;
        None removes one. If the new place refuses the identity, the old one is tried again.
        Raises ConfigError for a wrong value, or StoreError; nothing has changed then.
        """
        phase("moving.relocate", self, fields)

    def settings(self):
        """The settings of product.json with defaults filled in: a dict, see `identity.product`.

        Kept in memory until `login`, then read again when needed. Raises ConfigError.
        """
        return self.product or phase("identity.settings", self.name)

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: whoever has it can connect as this device.
        """
        return phase("credentials.login", self.settings(), self.record)

    def connect(self):
        """Connect or reconnect over MQTT: a Session, the same one each time.

        Restores its subscriptions and resends a QoS 1 message that was not acknowledged. Raises
        what `Session.connect` raises; RefusedError with code 4 or 5 means that the platform does
        not accept the DeviceSecret.
        """
        session = self.prepare()
        session.close()
        session.run(session.connecting(self.login()[0]))
        self.connected()
        return session

    def prepare(self):
        """The device's Session, connected or not."""
        if self.session is None:
            from .session import Session

            _, host, key, port, keepalive, encrypted = self.login()
            context = self.trust() if encrypted else None
            name = self.record["deviceName"]
            self.session = Session(key, name, host, port, keepalive, context)
            self.session.device = self
        return self.session

    def connected(self):
        """Finish a connect: log it; set the clock, forget the ProductSecret where that is due."""
        self.since = time.ticks_ms()
        log("connected as", self.record["deviceName"])
        if self.forgets or not time_is_set():
            phase("connection.connected", self)

    def login(self):
        """What a connect needs, a tuple: the CONNECT packet as bytes, the host, the ProductKey,
        the port, the keepalive in seconds, and whether to use TLS.

        The packet carries no timestamp, so it serves for every connect.
        """
        if self.packet is None:
            self.packet = phase("credentials.prepare", self.settings(), self.record)
            self.product = None  # no longer needed
        return self.packet

    def trust(self):
        """The verifying TLS context. Raises TlsError if the trust roots could not be loaded."""
        if self._untrusted:
            raise self._untrusted
        return self._context


def run(
    on_connect=None, on_message=None, on_idle=None, device_name=None, feed=None, on_given_up=None
):
    """Bring the device online and keep it online. Does not return.

    on_connect(session): after each connect. on_message(session, topic, payload): for each
    message, both bytes. on_idle(session): about once a second, with or without messages.
    on_given_up(session, topic, payload): a QoS 1 message was sent three times without an answer.
    feed(): feeds a watchdog: called about once a second while online or waiting, and before each
    step of an attempt. A step takes up to 15 s for each network of wifi.json (plus 3 s to scan if
    there are several), 20 s to connect, 10 s for each topic subscribed again, and however long
    on_connect takes.
    After an error of network or platform, which is logged, it waits and tries again; after a fatal
    one slowly, as an operator may have fixed the cause. Raises ConfigError, which waiting cannot
    fix, and whatever the application's own functions raise, after closing the connection.
    """
    import esp32

    device = Device.load(device_name)
    device.feed = feed
    problem = None
    said = False  # whether the low memory was logged
    try:
        while True:
            if device.registered():
                device.login()  # now, before the session fills the heap
            phase("connection.ready", device, problem)
            try:
                if device.asking:
                    # An identity that was refused is tried again, whatever comes of this.
                    device.asking = not device.registered()
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
