"""Dynamic registration of a directly connected device over HTTPS.

SPEC "Dynamically register a directly connected device based on unique-certificate-per-product
authentication". All but `register` is pure: it builds the request and reads the answer.
"""

import json

from . import forget
from .errors import BusyError, ProtocolError

PATH = "/auth/register/device"


def host(product):
    """The register endpoint's host name for a `product`: str."""
    return product.get("registerHost") or "iot-auth.{}.aliyuncs.com".format(product["region"])


def body(product_key, device_name, product_secret, sign_method, random):
    """Build the form body, signed with the ProductSecret: str.

    Everything but sign and signMethod is signed (SPEC "Sign the parameters"). The fields stand
    in the order in which the platform's own SDKs send them.
    """
    from .sign import sign
    from .urlencode import urlencode

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
    """Take the DeviceSecret out of an answer: str.

    status: the HTTP status; data: the body. A code in the body counts more than the status.
    Raises RefusedError or BusyError by the platform's code, ProtocolError for an answer of
    another form, or for another device.
    """
    try:
        answer = json.loads(data)
        code = answer["code"]
    except (ValueError, KeyError, TypeError):
        code = None
    if type(code) is not int:
        if status == 429 or status >= 500:
            raise BusyError("registration: HTTP status {}".format(status), status)
        raise ProtocolError("registration: HTTP status {}, no result code".format(status))
    if code != 200:
        from .registration_codes import refusal

        raise refusal(code)
    from .rules import is_secret

    granted = answer.get("data")
    if not isinstance(granted, dict):
        raise ProtocolError("registration: no data in the answer")
    if granted.get("productKey") != product_key or granted.get("deviceName") != device_name:
        raise ProtocolError("registration: the answer is for another device")
    if not is_secret(granted.get("deviceSecret")):
        raise ProtocolError("registration: no usable deviceSecret in the answer")
    return granted["deviceSecret"]


def register(product, random, context, ms):
    """Ask for the DeviceSecret of `product`'s device: (device certificate as a dict, Date).

    product: as `certificate.product` gives it, with ProductSecret. random: str.
    context: TLS context, see `tls.trust`. ms: milliseconds for the whole exchange; the
        platform's own SDKs give up after 5 to 10 seconds.
    Date is the answer's header as bytes, or None: an authenticated time.
    Raises NetworkError, TlsError, and what `device_secret` raises.
    """
    key = product["productKey"]
    name = product["deviceName"]
    form = body(key, name, product["productSecret"], product["signMethod"], random)
    forget("hmac", "sign", "urlencode")
    from .https import post

    status, answer, date = post(host(product), product["registerPort"], PATH, form, context, ms)
    forget("https")
    secret = device_secret(status, answer, key, name)
    return {"productKey": key, "deviceName": name, "deviceSecret": secret}, date
