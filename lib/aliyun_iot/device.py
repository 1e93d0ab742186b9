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


def _read_product(name):
    """Read and check product.json: (dict, None), or (the defaults, a ConfigError)."""
    import json

    import machine

    from . import certificate

    try:
        try:
            with open(_PRODUCT) as file:
                fields = json.load(file)
        except OSError:
            from . import nvs

            fields = nvs.product(_PRODUCT)
        if name and isinstance(fields, dict):
            fields["deviceName"] = name
        return certificate.product(fields, machine.unique_id()), None
    except (OSError, ImportError):
        problem = ConfigError("product.json: missing")
    except (ValueError, UnicodeError):
        problem = ConfigError("product.json: not JSON, or not UTF-8")
    except ConfigError as e:
        problem = e
    return certificate.product({}, machine.unique_id()), problem


class Device:
    """This board as a device of the platform. Make one with `Device.open()`."""

    timeout = 20000  # milliseconds for one registration, from name look-up to answer

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

        from . import certificate, store

        # Before all else: it wants 3 kB in one piece, which a heap in use may not have.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        try:
            product, problem = _read_product(device_name)
            record, why = store.load(_DEVICE, lambda record: certificate.device(record, product))
        finally:
            forget("certificate", "hmac", "nvs", "sign", "store")
        for field in ("productKey", "productSecret"):
            if problem is None and not product.get(field):
                problem = ConfigError("product.json: {}: missing".format(field))
        if record is None and problem:
            raise ConfigError("{} (and device.json: {})".format(problem, why))
        if record is None:
            log("device.json: {}; {} is not registered yet".format(why, product["deviceName"]))
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
        import os

        context = self._trust()
        try:
            if self.product["registration"] == "https":
                from .registration import register
            else:
                from .registration_mqtt import register
            record, date = register(self.product, os.urandom(8).hex(), context, self.timeout)
        except TlsError as e:
            raise _explained(e)
        finally:
            forget("certificate", "https", "registration", "registration_mqtt", "urlencode")
        if date and not time_is_set():
            from .clock import heed

            heed(date)
        from .store import save

        save(_DEVICE, record)
        forget("clock", "hmac", "sign", "store")
        self._record = record
        log("registered as {}; identity stored".format(record["deviceName"]))

    def credentials(self):
        """Client id, user name and password for any MQTT client: three str.

        The password is as secret as the DeviceSecret: it opens the same door.
        """
        from . import mqtt

        record = self._record
        key = record.get("productKey") or self.product.get("productKey")
        name = record["deviceName"]
        if "deviceToken" in record:
            return mqtt.token_credentials(key, name, record["clientId"], record["deviceToken"])
        method = self.product["signMethod"]
        mode = self.product["securemode"]
        return mqtt.credentials(key, name, record["deviceSecret"], method, mode)

    def connect(self):
        """Connect over MQTT, or connect again: a Session, the same one each time.

        Its subscriptions are made again, and a QoS 1 message whose acknowledgement is missing
        is sent again. Raises what `Session.connect` raises; RefusedError with code 4 or 5 means
        that the platform does not accept the DeviceSecret.
        """
        from .mqtt import connect_packet

        if self.session is None:
            self.session = self._new_session()
        client_id, user, password = self.credentials()
        packet = connect_packet(client_id, user, password, self.product["keepalive"])
        forget("hmac", "mqtt", "sign", "tls")
        try:
            self.session.connect(packet)
        except TlsError as e:
            raise _explained(e)
        log("connected as", self.session.device_name)
        if self.product.get("forgetProductSecret"):
            from .scrub import product_secret

            if product_secret(_PRODUCT):
                self.product["forgetProductSecret"] = self.product["productSecret"] = None
            forget("scrub", "store")
        return self.session

    def _new_session(self):
        from . import mqtt
        from .session import Session

        product = self.product
        key = self._record.get("productKey") or product.get("productKey")
        plain = product["securemode"] == 3
        if plain:
            log("WARNING: securemode 3: the connection is not encrypted and not verified")
        return Session(
            key,
            self._record["deviceName"],
            mqtt.host(product, key),
            product.get("mqttPort") or (1883 if plain else 443),
            product["keepalive"],
            None if plain else self._trust(),
        )

    def _trust(self):
        if not self._trusts:
            from .tls import trust

            trust(self._context, self.product["roots"])
            self._trusts = True
        return self._context


def _explained(e):
    return e if time_is_set() else TlsError("{} (the clock was never set: no NTP)".format(e))


def _network():
    # Wi-Fi and time, where they were lost or never came. Neither is worth stopping for.
    import network

    host = None
    station = network.WLAN(network.STA_IF)
    if station.active() and not station.isconnected():
        from .wifi import up

        try:
            host = up()
        except (ConfigError, OSError) as e:
            log(e)
        forget("wifi")
    if not time_is_set():
        from .clock import start

        start(host)
        forget("clock")


def _pause(ms):
    until = time.ticks_add(time.ticks_ms(), ms)
    while ms > 0:
        time.sleep_ms(min(ms, 1000))
        ms = time.ticks_diff(until, time.ticks_ms())


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
            _network()
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
                    on_message(session, *message)
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
                refused = e.code in (4, 5) and bool(device.product.get("productSecret"))
            elif isinstance(e, TlsError):
                aliyun_iot.time_source = None  # it may be NTP that lied: ask again
            wait = waits.failed(not e.retry)
            log("{}; trying again in {} s".format(e, (wait + 999) // 1000))
        _pause(wait)
