"""Dynamic registration of a directly connected device over HTTPS.

SPEC "Dynamically register a directly connected device based on unique-certificate-per-product
authentication". All but `register` and `enrol` is pure: builds the request, parses the answer.
"""

from micropython import const

from . import BusyError, ProtocolError, RefusedError, loads, log, os, phase, time_is_set

PATH = "/auth/register/device"

# What to do when the platform refuses to register a device (platform docs "Error codes for
# devices"; 6100, an unknown DeviceName, is from its general list). One line a code: a single
# string takes less heap than a table.
_ADVICE = const(
    """
460 a parameter was refused: check productKey and deviceName in product.json
6100 this DeviceName is not pre-registered: add it to the product
6250 unknown ProductKey: check productKey and region in product.json
6288 dynamic registration is switched off: switch it on for the product
6289 already active: its DeviceSecret was given out and used before; reset or re-add it
6292 signature method not supported: check signMethod in product.json
6600 wrong signature: check productSecret in product.json
"""
)


def refusal(code):
    """The exception for the platform's result `code` (int), to be raised by the caller."""
    if code in (429, 500):
        return BusyError("registration: the platform is busy (code {})".format(code), code)
    _, _, rest = _ADVICE.partition("\n{} ".format(code))
    advice = rest.partition("\n")[0] or "see the platform's error codes"
    return RefusedError("registration refused, code {}: {}".format(code, advice), code)


def host(product):
    """The register endpoint's host name for a `product`: str."""
    return product.get("registerHost") or "iot-auth.{}.aliyuncs.com".format(product["region"])


def body(product_key, device_name, product_secret, sign_method, random):
    """Build the form body, signed with the ProductSecret: str.

    Everything but sign and signMethod is signed (SPEC "Sign the parameters"). The fields are in
    the order in which the platform's own SDKs send them.
    """
    from .credentials import sign, urlencode

    signed = {"productKey": product_key, "deviceName": device_name, "random": random}
    return urlencode(
        (
            ("productKey", product_key),
            ("deviceName", device_name),
            ("random", random),
            ("sign", sign(sign_method, product_secret, signed)),
            ("signMethod", sign_method.lower()),
        )
    )


def device_secret(status, data, product_key, device_name):
    """Extract the DeviceSecret from an answer: str.

    status: the HTTP status; data: the body. A code in the body takes precedence over the status.
    Raises RefusedError or BusyError by the platform's code, ProtocolError for a malformed answer
    or one for another device.
    """
    try:
        answer = loads(data)
        code = answer["code"]
    except (ValueError, KeyError, TypeError):
        code = None
    if type(code) is not int:
        if status == 429 or status >= 500:
            raise BusyError("registration: HTTP status {}".format(status), status)
        raise ProtocolError("registration: HTTP status {}, no result code".format(status))
    if code != 200:
        raise refusal(code)
    from .records import is_secret  # not earlier: heap is scarce while TLS is up

    granted = answer.get("data")
    if not isinstance(granted, dict):
        raise ProtocolError("registration: no data in the answer")
    if granted.get("productKey") != product_key or granted.get("deviceName") != device_name:
        raise ProtocolError("registration: the answer is for another device")
    if not is_secret(granted.get("deviceSecret")):
        raise ProtocolError("registration: no usable deviceSecret in the answer")
    return granted["deviceSecret"]


def register(product, random, context, ms):
    """Request the DeviceSecret of `product`'s device: (device certificate as a dict, Date).

    product: as `identity.product` returns it, with ProductSecret. random: str.
    context: TLS context, see `identity.trust`. ms: milliseconds for the whole exchange; the
        platform's own SDKs give up after 5 to 10 seconds.
    Date, an authenticated time, is the answer's header as bytes, or None.
    Raises NetworkError, TlsError, and what `device_secret` raises.
    """
    key = product["productKey"]
    name = product["deviceName"]
    # One phase after the other: the handshake needs the heap that each takes.
    form = phase(
        "registration.body", key, name, product["productSecret"], product["signMethod"], random
    )
    port = product["registerPort"]
    status, answer, date = phase("https.post", host(product), port, PATH, form, context, ms)
    secret = device_secret(status, answer, key, name)
    return {"productKey": key, "deviceName": name, "deviceSecret": secret}, date


def enrol(device):
    """Register a Device over HTTPS or MQTT and store its identity; see `Device.register`."""
    product = device.settings()
    context = device.trust()
    module = "registration" if product["registration"] == "https" else "registration_mqtt"
    random = os.urandom(8).hex()
    record, date = phase(module + ".register", product, random, context, device.timeout)
    if date and not time_is_set():
        phase("network.heed", date)
    from .records import save

    record["place"] = product["place"]
    save("/device.json", record)
    log("registered as {}; identity stored".format(record["deviceName"]))
    record.pop("place")  # saves heap: `moving` reads it again
    device.record = record
    device.packet = None
    device.asking = False
