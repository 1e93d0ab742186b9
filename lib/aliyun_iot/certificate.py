"""Product certificate and device certificate: their fields, and the rules each must keep.

Both are plain dicts; nothing here opens a file. Messages never repeat a value: it may be a
secret in the wrong place.
"""

from .errors import ConfigError
from .rules import is_device_name, is_product_key, is_secret

# What product.json may hold, one line a field: name, type, least and most (characters of text,
# value of a number), default. Text kept in one piece takes a fifth of the heap of a table.
_FIELDS = """
productKey text 1 20 -
productSecret text 1 64 -
deviceName text 1 32 mac
deviceNamePrefix text 0 20 -
signMethod hmacmd5|hmacsha1|hmacsha256 0 0 hmacsha256
registration https|mqtt|mqtt-free 0 0 https
registrationSecuremode 2|-2 0 0 -
region text 1 32 cn-shanghai
instanceId text 1 64 -
registerHost text 1 128 -
registerPort number 1 65535 443
mqttHost text 1 128 -
mqttPort number 1 65535 -
securemode number 2 3 2
keepalive number 30 1200 300
roots text 1 64 /roots
forgetProductSecret truth 0 1 -"""


def _wrong(name, expected):
    return ConfigError("product.json: {}: {}".format(name, expected))


def _check(name, kind, least, most, value):
    if kind == "truth":
        if type(value) is not bool:
            raise _wrong(name, "expected true or false")
    elif "|" in kind:
        if str(value).lower() not in kind.split("|"):
            raise _wrong(name, "expected " + kind.replace("|", " or "))
    else:
        size = len(value) if isinstance(value, str) else value
        wanted = str if kind == "text" else int
        if type(value) is not wanted or not int(least) <= size <= int(most):
            what = "characters of text" if wanted is str else "as a number"
            raise _wrong(name, "expected {} to {} {}".format(least, most, what))


def product(fields, mac):
    """Check what product.json holds, and complete it: the same dict, with defaults put in.

    fields: the parsed file. mac: the board's MAC address, bytes: the DeviceName is made of it
        unless the file names one.
    In the result, `deviceName` is this board's full DeviceName, and `named` tells whether the
    board can know it: it has to, to register; a unique certificate brings its own.
    Raises ConfigError naming the field that is wrong and what was expected.
    """
    if not isinstance(fields, dict):
        raise ConfigError("product.json: expected a JSON object")
    for name in fields:
        if not isinstance(name, str) or "\n" + name + " " not in _FIELDS:
            raise _wrong(str(name)[:32], "no such field")
    named = bool(fields.get("productSecret") or fields.get("deviceName"))
    for line in _FIELDS.strip().split("\n"):
        name, kind, least, most, default = line.split(" ")
        value = fields.get(name)
        if value is not None:
            _check(name, kind, least, most, value)
            if "|" in kind and isinstance(value, str):
                fields[name] = value.lower()
        elif default != "-":
            fields[name] = int(default) if kind == "number" else default
    if not is_product_key(fields.get("productKey", "a")):
        raise _wrong("productKey", "expected letters and digits")
    if not is_secret(fields.get("productSecret", "a")):
        raise _wrong("productSecret", "expected printable ASCII, no space")
    name = mac.hex() if fields["deviceName"] == "mac" else fields["deviceName"]
    name = fields.get("deviceNamePrefix", "") + name
    if not is_device_name(name):
        raise _wrong("deviceName", 'expected "mac", or 4 to 32 of letters, digits, - _ @ . :')
    fields["deviceName"] = name
    fields["named"] = named
    return fields


def device(record, product):
    """Judge a record of device.json: None, or why it is no identity for this board, str.

    record: a parsed record, see `store`. product: as `product()` gives it.
    """
    own = product.get("productKey")
    key = record.get("productKey", own)
    if not is_product_key(key):
        return "productKey: expected 1 to 20 letters and digits"
    if own not in (None, key):
        return "it is another product's"
    name = record.get("deviceName")
    if not is_device_name(name):
        return "deviceName: expected 4 to 32 of letters, digits, - _ @ . :"
    if product["named"] and name != product["deviceName"]:
        return "it is another device's"
    if "deviceToken" in record:
        good = is_secret(record["deviceToken"], 128) and is_secret(record.get("clientId"), 128)
    else:
        good = is_secret(record.get("deviceSecret"))
    return None if good else "deviceSecret, or clientId and deviceToken: missing or malformed"
