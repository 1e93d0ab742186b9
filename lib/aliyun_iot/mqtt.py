"""What a device says when it connects over MQTT: host, client id, user name, password, CONNECT.

Platform documentation "Establish MQTT connections over TCP". No socket here: see `session`.
"""

import struct

from .errors import BusyError, ConfigError, Fatal, RefusedError
from .sign import sign


def host(product, product_key):
    """The MQTT host name for a `product`: configured, of its instance, or of its region: str."""
    if product.get("mqttHost"):
        return product.get("mqttHost")
    if product.get("instanceId"):
        return product.get("instanceId") + ".mqtt.iothub.aliyuncs.com"
    return "{}.iot-as-mqtt.{}.aliyuncs.com".format(product_key, product["region"])


def credentials(product_key, device_name, device_secret, method="hmacsha256", mode=2):
    """Client id, user name and password of a device with a DeviceSecret: three str.

    method: the signMethod. mode: securemode, 2 over TLS, 3 over plain TCP.
    `_ss=1` has the platform subscribe the device to its system topics.
    """
    name = product_key + "." + device_name
    signed = {"clientId": name, "deviceName": device_name, "productKey": product_key}
    return (
        "{}|securemode={},signmethod={},_ss=1|".format(name, mode, method.lower()),
        device_name + "&" + product_key,
        sign(method, device_secret, signed),
    )


def login(product, record):
    """Client id, user name and password of the device with the certificate `record`: three str.

    product: as `certificate.product` gives it. Raises ConfigError for a deviceToken that would
    travel over plain TCP: unlike a signature it is the secret itself.
    """
    key = record.get("productKey") or product.get("productKey")
    name = record["deviceName"]
    if "deviceToken" in record:  # registered without pre-registration
        if product["securemode"] == 3:
            raise ConfigError("product.json: securemode: expected 2 with a deviceToken")
        client_id = record["clientId"] + "|securemode=-2,authType=connwl,_ss=1|"
        return client_id, name + "&" + key, record["deviceToken"]
    secret = record["deviceSecret"]
    return credentials(key, name, secret, product["signMethod"], product["securemode"])


def length(size):
    """MQTT's "remaining length" of `size` bytes (MQTT 3.1.1, 2.2.3): bytes."""
    out = bytearray()
    while True:
        out.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return out


def text(value):
    """A string as MQTT carries it, two bytes of length before it: bytes. value: str or bytes."""
    if isinstance(value, str):
        value = value.encode()
    return struct.pack("!H", len(value)) + value


def connect_packet(client_id, username, password, keepalive):
    """The whole CONNECT of a clean session: bytes. keepalive: seconds."""
    rest = b"\x00\x04MQTT\x04\xc2" + struct.pack("!H", keepalive)
    rest += text(client_id) + text(username) + text(password)
    return b"\x10" + length(len(rest)) + rest


def refusal(code):
    """The exception for a CONNACK's return `code` (int), to be raised by the caller."""
    if code == 3:
        return BusyError("connect: the platform is not available (CONNACK 3)", code)
    if code in (4, 5):
        return RefusedError("connect refused (CONNACK {}): wrong DeviceSecret?".format(code), code)
    text = "connect refused (CONNACK {}): not what the platform expects: check instanceId, region"
    return Fatal((text + " and securemode in product.json").format(code), code)
