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
"""

import json
import sys
import time

from . import clock, mqtt, store, tls
from .certificate import Product, is_device_name, is_product_key, is_secret
from .errors import ConfigError, IotError, RefusedError, TlsError
from .log import log

_PRODUCT = "/product.json"
_DEVICE = "/device.json"
_STAYED_MS = 60000  # a connection that held this long was a good one


def _read_product(name):
    """Read product.json: a Product. Raises ConfigError."""
    import machine

    try:
        with open(_PRODUCT) as file:
            fields = json.load(file)
    except OSError:
        raise ConfigError("product.json: missing")
    except (ValueError, UnicodeError):
        raise ConfigError("product.json: not JSON, or not UTF-8")
    if name and isinstance(fields, dict):
        fields["deviceName"] = name
    return Product(fields, machine.unique_id())


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    def __init__(self, product):
        self.product = product
        self.session = None
        self._record = None
        self._context = None

    @staticmethod
    def load(device_name=None):
        """Read what flash knows of this device; no network. See `open`."""
        problem = None
        try:
            product = _read_product(device_name)
        except ConfigError as e:
            product = Product({}, b"\0\0\0\0\0\0")
            problem = e
        device = Device(product)
        device._record, why = store.load(_DEVICE, device._wrong_with)
        if device._record:
            if problem:
                log("{}; going on with device.json and defaults".format(problem))
            return device
        if problem is None:
            for field in ("productKey", "productSecret"):
                if product[field] is None:
                    problem = ConfigError("product.json: {}: missing".format(field))
                    break
        if problem:
            raise ConfigError("{} (and device.json: {})".format(problem, why))
        log("device.json: {}; {} is not registered yet".format(why, product.device_name))
        return device

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

    def _wrong_with(self, record):
        own = self.product["productKey"]
        key = record.get("productKey", own)
        if not is_product_key(key):
            return "productKey: expected 1 to 20 letters and digits"
        if own not in (None, key):
            return "it is another product's"
        name = record.get("deviceName")
        if not is_device_name(name):
            return "deviceName: expected 4 to 32 of letters, digits, - _ @ . :"
        if self.product.names_device() and name != self.product.device_name:
            return "it is another device's"
        if "deviceToken" in record:
            good = is_secret(record["deviceToken"], 128) and is_secret(record.get("clientId"), 128)
        else:
            good = is_secret(record.get("deviceSecret"))
        return None if good else "deviceSecret, or clientId and deviceToken: missing or malformed"

    def register(self):
        """Register and put the identity on flash, read back, before returning.

        Raises NetworkError, TlsError, ProtocolError, BusyError, RefusedError (its `.code` is
        the platform's), StoreError. What is on flash is as before then.
        """
        import os

        if self.product["registration"] == "https":
            from . import registration as way
        else:
            from . import registration_mqtt as way
        try:
            record, date = way.register(self.product, os.urandom(8).hex(), self._trust())
        except TlsError as e:
            raise _explained(e)
        finally:
            _forget("https", "registration", "registration_mqtt", "urlencode")
        clock.heed(date)
        store.save(_DEVICE, record)
        self._record = record
        log("registered as {}; identity stored".format(record["deviceName"]))

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: it opens the same door.
        """
        record = self._record
        key = record.get("productKey", self.product["productKey"])
        name = record["deviceName"]
        if "deviceToken" in record:
            return mqtt.token_credentials(key, name, record["clientId"], record["deviceToken"])
        return mqtt.credentials(
            key,
            name,
            record["deviceSecret"],
            self.product["signMethod"],
            self.product["securemode"],
        )

    def connect(self):
        """Connect over MQTT, or connect again: a Session, the same one each time.

        Its subscriptions are made again, and a QoS 1 message whose acknowledgement is missing
        is sent again. Raises what `Session.connect` raises; RefusedError with code 4 or 5 means
        that the platform does not accept the DeviceSecret.
        """
        session = self.session
        if session is None:
            from .session import Session

            product = self.product
            key = self._record.get("productKey", product["productKey"])
            name = self._record["deviceName"]
            host = mqtt.host(product, key)
            if product["securemode"] == 2:
                port = product["mqttPort"] or 443
                context = self._trust()
            else:
                log("WARNING: securemode 3: the connection is not encrypted and not verified")
                port = product["mqttPort"] or 1883
                context = None
            session = Session(key, name, host, port, product["keepalive"], context)
            self.session = session
        try:
            session.connect(*self.credentials())
        except TlsError as e:
            raise _explained(e)
        log("connected as", session.device_name)
        return session

    def _trust(self):
        if self._context is None:
            self._context = tls.context(self.product["roots"])
        return self._context


def _explained(e):
    if clock.source in (None, "floor"):
        return TlsError("{} (the clock was never set: no NTP)".format(e))
    return e


def _forget(*names):
    # What only a first boot needs makes room again: it is tens of kilobytes beside TLS's own.
    package = sys.modules["aliyun_iot"]
    for name in names:
        if sys.modules.pop("aliyun_iot." + name, None):
            delattr(package, name)


def _pause(ms):
    until = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(until, time.ticks_ms()) > 0:
        time.sleep_ms(min(1000, max(1, time.ticks_diff(until, time.ticks_ms()))))


def run(on_connect=None, on_message=None, on_idle=None, device_name=None):
    """Bring the device online and keep it there, for ever.

    on_connect(session): after each connect. on_message(session, topic, payload): for each
    message, bytes both. on_idle(session): about once a second.
    Errors of network and platform are said, waited out (`retry`) and tried again, the fatal ones
    slowly: an operator may have mended them. Raises ConfigError, which waiting cannot mend, and
    whatever the application's own functions raise.
    """
    from .retry import Waits

    device = Device.load(device_name)
    waits = Waits()
    refused = False  # the platform does not accept the stored secret
    while True:
        asking = refused or not device.registered()
        refused = False
        online = None
        try:
            if clock.source in (None, "floor"):
                clock.start()
            if asking:
                _pause(waits.barred())
                waits.starting()
                device.register()
                asking = False
            _pause(waits.barred())
            waits.starting()
            session = device.connect()
            online = time.ticks_ms()
            if on_connect:
                on_connect(session)
            while True:
                message = session.wait(1000)
                if message and on_message:
                    on_message(session, message[0], message[1])
                elif on_idle:
                    on_idle(session)
        except ConfigError:
            raise
        except IotError as e:
            if online is not None:
                if time.ticks_diff(time.ticks_ms(), online) >= _STAYED_MS:
                    waits.succeeded()
            elif isinstance(e, RefusedError) and not asking:
                # Keep it: it may be right again when an operator has acted. But ask for another.
                refused = e.code in (4, 5) and device.product["productSecret"] is not None
            wait = waits.failed(not e.retry)
            log("{}; trying again in {} s".format(e, (wait + 999) // 1000))
        _pause(wait)
