"""Asks the platform's bootstrap endpoint which MQTT host and port serve a device.

Platform docs "Device distribution". The structure of the answer is not documented: like C SDK 4,
takes the first members named host and port, wherever they are. All but `ask`, `stored` and `keep`
is pure.
"""

from micropython import const

from .. import ProtocolError, StoreError, loads, log, phase

PATH = "/auth/bootstrap"
_FILE = const("/place.json")
_MS = const(10000)  # for one request; the platform's own SDKs give up after 5 to 10 seconds


def form(product_key, device_name):
    """The form body, in C SDK 4's order: str. Nothing is signed."""
    from ..credentials import urlencode

    return urlencode(
        (
            ("productKey", product_key),
            ("deviceName", device_name),
            ("clientId", product_key + "." + device_name),
            ("resources", "mqtt"),
        )
    )


def member(data, name):
    """The value of the first member `name` in valid JSON text: bytes, or None.

    data, name: bytes. The value is the text between the quotes, or the digits of a number.
    Searches the text, as a dict does not keep the order.
    """
    at = -1
    name = b'"' + name + b'"'
    while True:
        at = data.find(name, at + 1)
        if at < 0:
            return None
        rest = data[at + len(name) :].lstrip()
        if data[at - 1 : at] != b"\\" and rest[:1] == b":":
            break
    rest = rest[1:].lstrip()
    if rest[:1] == b'"':
        return rest[1:].partition(b'"')[0]
    size = 0
    while size < len(rest) and rest[size] in b"0123456789.eE+-":
        size += 1
    return rest[:size]


def is_object(data):
    """Whether `data`, bytes, is a complete JSON object in UTF-8."""
    try:
        loads(data)
        return data.decode().lstrip().startswith("{")
    except (ValueError, UnicodeError):
        return False


def is_host(text):
    """Whether `text`, str, can be a host name: dotted labels of letters, digits, - and _."""
    if not 0 < len(text) <= 128 or text.isdigit():
        return False
    for label in text.encode().split(b"."):
        if not 0 < len(label) <= 63 or label[:1] == b"-" or label[-1:] == b"-":
            return False
        for byte in label:
            if not (byte in b"-_" or 48 <= byte < 58 or 65 <= byte & 0xDF < 91):
                return False
    return True


def is_port(text):
    """Whether `text`, str, is a port, 1 to 65535."""
    return 0 < len(text) <= 5 and text.isdigit() and 0 < int(text) < 65536


def place(status, data, product_key, device_name):
    """Host and port in an answer: (str, int). Raises ProtocolError if it has no valid ones.

    status: the HTTP status; data: the body.
    """
    data = bytes(data)
    if not is_object(data):
        raise ProtocolError("HTTP status {}, not a JSON object".format(status))
    code = member(data, b"code")
    if status != 200 or code not in (None, b"200"):
        # The code goes into the message, so only a number is taken.
        code = int(code) if code and len(code) < 7 and code.isdigit() else None
        raise ProtocolError("refused, HTTP status {}, code {}".format(status, code), code)
    for name, own in ((b"productKey", product_key), (b"deviceName", device_name)):
        if member(data, name) not in (None, own.encode()):
            raise ProtocolError("the answer is for another device")
    host = (member(data, b"host") or b"").decode()
    port = (member(data, b"port") or b"").decode()
    if not is_host(host) or not is_port(port):
        raise ProtocolError("no usable host and port in the answer")
    return host, int(port)


def ask(endpoint, names, context, ms):
    """Ask where a device should connect: (host, port), and the answer's Date, bytes or None.

    endpoint: (host, port). names: ProductKey and DeviceName. ms: milliseconds, capped at 10 s.
    Raises NetworkError, TlsError, ProtocolError.
    """
    body = phase("moving.bootstrap.form", *names)
    status, data, date = phase("https.post", *endpoint, PATH, body, context, min(ms, _MS))
    return place(status, data, *names), date


def stored(product_key, device_name):
    """The last answer that worked, from flash: (host, port), or None."""
    from ..records import load

    def judge(record):
        if record.get("productKey") != product_key or record.get("deviceName") != device_name:
            return "it is another device's"
        good = is_host(record.get("host", "")) and is_port(record.get("port", ""))
        return None if good and "check" in record else "host, port or check: missing or malformed"

    record, _ = load(_FILE, judge)
    return record and (record["host"], int(record["port"]))


def keep(door, product_key, device_name):
    """Store an answer that worked, unless it is on flash already."""
    if stored(product_key, device_name) == door:
        return
    from ..records import save

    host, port = door
    record = {"productKey": product_key, "deviceName": device_name, "host": host}
    record["port"] = str(port)
    try:
        save(_FILE, record)
    except StoreError as e:
        log(e)  # it is asked for again at the next boot
