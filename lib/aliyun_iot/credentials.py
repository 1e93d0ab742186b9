"""How a device proves its identity: the platform's signing rule, and the CONNECT that uses it.

HMAC (RFC 2104), the form encoding, the rule that registration, connect, topology and login share,
and the client id, user name and password of platform documentation "Establish MQTT connections
over TCP". All of it is pure: no socket, no file, no clock.
"""

from micropython import const

from . import BusyError, ConfigError, Fatal, RefusedError, hashlib, log

_BLOCK = const(64)  # MD5, SHA-1 and SHA-256 alike work on blocks of 64 bytes
_UNSIGNED = const(("sign", "signMethod", "signmethod"))


def hmac_hex(method, key, message):
    """Sign `message` with `key`: the HMAC as lower-case hex, str. Stock firmware has no HMAC.

    method: "hmacmd5", "hmacsha1" or "hmacsha256", in any case (SPEC "signMethod").
    key, message: str (as UTF-8) or bytes.
    Raises ConfigError for any other method.
    """
    name = method.lower()
    if name not in ("hmacmd5", "hmacsha1", "hmacsha256"):
        raise ConfigError("signMethod: expected hmacmd5, hmacsha1 or hmacsha256")
    digest = getattr(hashlib, name[4:])
    if isinstance(key, str):
        key = key.encode()
    if isinstance(message, str):
        message = message.encode()
    if len(key) > _BLOCK:
        key = digest(key).digest()
    # XOR as 64-byte integers: one operation instead of 64 rounds of bytecode.
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")
    for byte in b"\x36\x5c":  # RFC 2104: ipad, opad
        pad = int.from_bytes(bytes((byte,)) * _BLOCK, "big")
        hashed = digest((number ^ pad).to_bytes(_BLOCK, "big"))
        hashed.update(message)
        message = hashed.digest()
    return message.hex()


def _quote(value):
    out = bytearray()
    for byte in value if isinstance(value, bytes) else str(value).encode():
        if byte in b"_.-~" or 48 <= byte < 58 or 65 <= byte & 0xDF < 91:
            out.append(byte)
        else:
            out.extend(b"+" if byte == 32 else "%{:02X}".format(byte).encode())
    return out.decode()


def urlencode(pairs):
    """Join `pairs` as application/x-www-form-urlencoded: str, pure ASCII.

    pairs: a sequence of (name, value), encoded in this order. Values are text (as UTF-8), bytes
    or numbers. Same result as CPython's `urllib.parse.urlencode`.
    """
    return "&".join([_quote(name) + "=" + _quote(value) for name, value in pairs])


def splice(params, unsigned=_UNSIGNED):
    """Sort by name, then join names and values without any separator: str.

    params: dict; values are text or numbers. unsigned: the names to leave out.
    Source: SPEC "Sign the parameters".
    """
    return "".join([name + str(params[name]) for name in sorted(params) if name not in unsigned])


def sign(method, secret, params, unsigned=_UNSIGNED):
    """Sign `params` with `secret` (ProductSecret or DeviceSecret): lower-case hex str.

    Raises ConfigError for an unknown method (see `hmac_hex`).
    """
    return hmac_hex(method, secret, splice(params, unsigned))


def host(product, product_key):
    """The MQTT host name, str: mqttHost of `product`, or that of its instance or its region."""
    if product.get("mqttHost"):
        return product.get("mqttHost")
    if product.get("instanceId"):
        return product.get("instanceId") + ".mqtt.iothub.aliyuncs.com"
    return "{}.iot-as-mqtt.{}.aliyuncs.com".format(product_key, product["region"])


def credentials(product_key, device_name, device_secret, method="hmacsha256", mode=2):
    """Client id, user name and password of a device with a DeviceSecret: three str.

    method: the signMethod. mode: securemode, 2 over TLS, 3 over plain TCP.
    `_ss=1` has the platform subscribe the device to its system topics; `ext=3` asks for RRPC
    (bit 0) and for notices on /ext/notify and /ext/error (bit 1), as C SDK 4 does.
    """
    name = product_key + "." + device_name
    signed = {"clientId": name, "deviceName": device_name, "productKey": product_key}
    return (
        "{}|securemode={},signmethod={},_ss=1,ext=3|".format(name, mode, method.lower()),
        device_name + "&" + product_key,
        sign(method, device_secret, signed),
    )


def login(product, record):
    """Client id, user name and password of the device with the certificate `record`: three str.

    product: as `identity.product` returns it. Raises ConfigError for a deviceToken over plain TCP:
    unlike a signature, it is the secret itself.
    """
    key = record.get("productKey") or product.get("productKey")
    name = record["deviceName"]
    if "deviceToken" in record:  # registered without pre-registration
        if product["securemode"] == 3:
            raise ConfigError("product.json: securemode: expected 2 with a deviceToken")
        client_id = record["clientId"] + "|securemode=-2,authType=connwl,_ss=1,ext=3|"
        return client_id, name + "&" + key, record["deviceToken"]
    secret = record["deviceSecret"]
    return credentials(key, name, secret, product["signMethod"], product["securemode"])


def connect_packet(client_id, username, password, keepalive):
    """The whole CONNECT of a clean session (MQTT 3.1.1): bytes. keepalive: seconds."""
    rest = b"\x00\x04MQTT\x04\xc2" + keepalive.to_bytes(2, "big")
    for text in (client_id, username, password):
        rest += len(text).to_bytes(2, "big") + text.encode()
    size = len(rest)
    return b"\x10" + bytes((size,) if size < 128 else (size & 127 | 128, size >> 7)) + rest


def prepare(product, record):
    """What a connect needs: see `Device.login`."""
    client_id, user, password = login(product, record)
    seconds = product["keepalive"]
    packet = connect_packet(client_id, user, password, seconds)
    key = record.get("productKey") or product.get("productKey")
    encrypted = product["securemode"] != 3
    if not encrypted:
        log("WARNING: securemode 3: the connection is not encrypted and not verified")
    port = product.get("mqttPort") or (443 if encrypted else 1883)
    return packet, host(product, key), key, port, seconds, encrypted


def refusal(code):
    """The exception for a CONNACK's return `code` (int), to be raised by the caller."""
    if code == 3:
        return BusyError("connect: the platform is not available (CONNACK 3)", code)
    text = "connect refused (CONNACK {}): ".format(code)
    if code in (4, 5):  # sources disagree about which of the two means what
        text += "DeviceSecret reset, or the device deleted, disabled or never created"
        e = RefusedError(text, code)
        e.identity = True  # see `moving.failed`
        return e
    text += "not what the platform expects: check instanceId, region and securemode"
    return Fatal(text + " in product.json", code)
