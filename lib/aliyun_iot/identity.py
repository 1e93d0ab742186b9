"""What flash knows of this board: trust roots, product certificate and device certificate.

Both certificates are plain dicts: `product` and `device` judge them and open no file; `load`
reads them. Messages never repeat a value: it may be a secret in the wrong place.
"""

import tls
from micropython import const

from . import ConfigError, StoreError, TlsError, gc, loads, log, machine, os, phase
from .records import check, is_device_name, is_product_key, is_secret, replace
from .records import load as load_record

_PRODUCT = const("/product.json")
_DEVICE = const("/device.json")
_NVS_MOST = const(1024)  # longest product certificate in NVS, bytes

# What product.json may hold, one line a field: name, type, least and most (characters of text,
# value of a number), default. Text kept in one piece takes a fifth of the heap of a table. The
# first four tell the place: where a device connects.
_FIELDS = const(
    """
mqttHost str 1 128 -
instanceId str 1 64 -
region str 1 32 cn-shanghai
mqttPort int 1 65535 -
productKey str 1 20 -
productSecret str 1 64 -
deviceName str 1 32 mac
deviceNamePrefix str 0 20 -
signMethod hmacmd5|hmacsha1|hmacsha256 0 0 hmacsha256
registration https|mqtt|mqtt-free 0 0 https
registrationSecuremode 2|-2 0 0 -
registerHost str 1 128 -
registerPort int 1 65535 443
securemode int 2 3 2
keepalive int 30 1200 300
roots str 1 64 /roots
forgetProductSecret bool 0 1 -
bootstrap bool 0 1 -
bootstrapHost str 1 134 -
spares str 1 256 -"""
)


def _wrong(name, expected):
    return ConfigError("product.json: {}: {}".format(name, expected))


def _check(name, kind, least, most, value):
    if kind == "bool":
        if type(value) is not bool:
            raise _wrong(name, "expected true or false")
    elif "|" in kind:
        if str(value).lower() not in kind.split("|"):
            raise _wrong(name, "expected " + kind.replace("|", " or "))
    else:
        size = len(value) if isinstance(value, str) else value
        wanted = str if kind == "str" else int
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
    place = []
    for line in _FIELDS.strip().split("\n"):
        name, kind, least, most, default = line.split(" ")
        value = fields.get(name)
        if value is not None:
            _check(name, kind, least, most, value)
            if "|" in kind and isinstance(value, str):
                fields[name] = value.lower()
        elif default != "-":
            fields[name] = int(default) if kind == "int" else default
        place.append(str(fields.get(name)))
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
    fields["place"] = " ".join(place[:4])
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


def _from_nvs(path):
    """The product certificate in NVS, where a factory may have put it: bytes; see docs/factory.md.

    Namespace "aliyun_iot", blob "product": what product.json would hold. Firmware may erase all
    of NVS at a boot that finds it full or of another version, so it is copied to the file at
    `path`, and the file is what counts from then on. Raises OSError where NVS has none.
    """
    import esp32

    buffer = bytearray(_NVS_MOST)
    count = esp32.NVS("aliyun_iot").get_blob("product", buffer)
    data = bytes(memoryview(buffer)[:count])
    if isinstance(loads(data), dict):
        try:
            replace(path, data)
        except StoreError as e:
            log("product certificate not copied from NVS:", e)
    return data


def _read_product(path, name):
    """Read and check product.json: (dict, None), or (the defaults, a ConfigError)."""
    try:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            data = _from_nvs(path)
        fields = loads(data)
        if isinstance(fields, dict):
            told = fields.pop("check", None)
            if told is not None and told != check(fields):
                raise _wrong("check", "damaged (it does not match)")
            if name:
                fields["deviceName"] = name
        return product(fields, machine.unique_id()), None
    except (OSError, ImportError):
        problem = ConfigError("product.json: missing")
    except (ValueError, UnicodeError, TypeError):  # TypeError: a name that is no text
        problem = ConfigError("product.json: not JSON, or not UTF-8")
    except ConfigError as e:
        problem = e
    return product({}, machine.unique_id()), problem


def load(kind, context, name):
    """Make a Device of what is on flash.

    kind: the class Device. context: the TLS context, which gets the roots on flash; where that
    fails the Device keeps the error: one that wants no TLS can do without. name: the DeviceName
    where product.json is not to tell, or None. Raises ConfigError when there is neither a device
    certificate nor what it takes to register.
    """
    fields, problem = _read_product(_PRODUCT, name)
    record, why = load_record(_DEVICE, lambda record: device(record, fields))
    if record and problem and "missing" not in str(problem):
        log("{}; going on with device.json and defaults".format(problem))
    for field in ("productKey", "productSecret"):
        if problem is None and not fields.get(field):
            problem = ConfigError("product.json: {}: missing".format(field))
    if record is None and problem:
        raise ConfigError("{} (and device.json: {})".format(problem, why))
    if record is None:
        log("device.json: {}; {} is not registered yet".format(why, fields["deviceName"]))
    untrusted = None
    try:
        trust(context, fields["roots"])
    except TlsError as e:
        untrusted = e
    made = kind(name, fields, record, context, untrusted)
    at = fields["place"]
    moved = record and record.get("place") != at
    if moved or fields.get("bootstrap") or fields.get("spares"):
        phase("moving.adopt", made)
    elif record:
        record.pop("place", None)  # room: `moving` reads it again
    return made


def settings(name):
    """product.json alone, as `load` gives it. Raises ConfigError."""
    fields, problem = _read_product(_PRODUCT, name)
    if problem:
        raise problem
    return fields


def trust(context, folder):
    """Have a TLS client `context` verify, trusting the DER files (*.der) in `folder`.

    Raises TlsError when there are none, or one is not a certificate: without roots no other end
    can be told from an impostor, so there is no connection either.
    """
    # The C class verifies by default, the ssl module's wrapper of it does not: never rely on it.
    context.verify_mode = tls.CERT_REQUIRED
    trusted = 0
    try:
        for name in os.listdir(folder):
            if name.endswith(".der"):
                with open(folder + "/" + name, "rb") as file:
                    context.load_verify_locations(file.read())
                trusted += 1
                gc.collect()  # TLS is about to want large pieces of memory
    except ValueError:
        raise TlsError("{}/{}: not a DER certificate".format(folder, name))
    except OSError:
        pass
    if not trusted:
        raise TlsError(folder + ": no trust roots (*.der) on flash")
