"""Dynamic registration of a directly connected device over MQTT.

Platform documentation "MQTT-based dynamic registration". There are two kinds: "mqtt" registers a
pre-registered device and yields a DeviceSecret; "mqtt-free" needs no pre-registration and yields a
client id and a deviceToken. All but `register` is pure.
"""

from . import NetworkError, ProtocolError, RefusedError, loads, phase, time
from .session import Session

_IOTHUB = ".mqtt.iothub.aliyuncs.com"


def credentials(product, host, random):
    """Client id, user name and password that request registration: three str.

    product: as `identity.product` returns it, with ProductSecret. random: str.
    host: the MQTT host; the host name of an instance contains the instanceId.
    """
    from .credentials import sign

    key = product["productKey"]
    name = product["deviceName"]
    method = product["signMethod"]
    free = product["registration"] == "mqtt-free"
    signed = {"deviceName": name, "productKey": key, "random": random}
    instance = product.get("instanceId")
    if instance is None and host.endswith(_IOTHUB):
        instance = host[: -len(_IOTHUB)]
    return (
        "{}.{}|securemode={},authType={},random={},signmethod={}{}|".format(
            key,
            name,
            product.get("registrationSecuremode") or (-2 if free else 2),
            "regnwl" if free else "register",
            random,
            method.lower(),
            ",instanceId=" + instance if instance else "",
        ),
        name + "&" + key,
        sign(method, product["productSecret"], signed),
    )


def device_certificate(topic, payload, product_key, device_name):
    """Parse what the platform pushes after the CONNACK: a device certificate as a dict, or None.

    topic, payload: bytes. None for any other message.
    Raises ProtocolError for a malformed answer, or one for another device.
    """
    if topic not in (b"/ext/register", b"/ext/regnwl"):
        return None
    from .records import is_secret

    try:
        granted = loads(payload)
    except (ValueError, UnicodeError):
        granted = None
    if not isinstance(granted, dict):
        raise ProtocolError("registration: the answer is not a JSON object")
    if granted.get("productKey") != product_key or granted.get("deviceName") != device_name:
        raise ProtocolError("registration: the answer is for another device")
    record = {"productKey": product_key, "deviceName": device_name}
    # Without pre-registration, a device gets a token and its client id, never a DeviceSecret.
    for name in ("clientId", "deviceToken") if "deviceToken" in granted else ("deviceSecret",):
        if not is_secret(granted.get(name), 64 if name == "deviceSecret" else 128):
            raise ProtocolError("registration: no usable {} in the answer".format(name))
        record[name] = granted[name]
    return record


def refusal(e):
    """What a refused CONNECT (a RefusedError) means for a registration: a RefusedError."""
    # Sources disagree about which of 4 and 5 means what: both list all that may be wrong.
    advice = (
        "check productKey and productSecret in product.json; or it is already active, "
        "not pre-registered, or dynamic registration is switched off"
    )
    return RefusedError("registration refused (CONNACK {}): {}".format(e.code, advice), e.code)


def connect_packet(product, random):
    """The host, str, and the CONNECT that requests registration, bytes."""
    from . import credentials as login

    host = login.host(product, product["productKey"])
    client_id, user, password = credentials(product, host, random)
    return host, login.connect_packet(client_id, user, password, product["keepalive"])


def register(product, random, context, ms):
    """Request the identity of `product`'s device: (device certificate as a dict, None).

    Arguments and result are those of `registration.register`; MQTT has no Date.
    Raises NetworkError, TlsError, ProtocolError, BusyError, RefusedError, Fatal.
    """
    key = product["productKey"]
    host, packet = phase("registration_mqtt.connect_packet", product, random)
    name = product["deviceName"]
    port = product.get("mqttPort") or 443
    session = Session(key, name, host, port, product["keepalive"], context)
    session.connect_timeout = ms
    until = time.ticks_add(time.ticks_ms(), ms)
    try:
        session.connect(packet)
        record = None
        while record is None:
            message = session.wait(max(0, time.ticks_diff(until, time.ticks_ms())))
            if message is None:
                raise NetworkError("registration: no answer in time")
            record = device_certificate(message[0], message[1], key, name)
        return record, None
    except RefusedError as e:
        raise refusal(e)
    finally:
        session.close()
