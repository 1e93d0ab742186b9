"""What is on flash: trust roots, product certificate and device certificate.

Both certificates are plain dicts. `product` and `device` check them without opening a file; `load`
reads them. Messages never repeat a value: it may be a secret in the wrong field.
"""

import tls
from micropython import const

from . import ConfigError, StoreError, TlsError, gc, loads, log, machine, os, phase
from .records import check, is_device_name, is_product_key, is_secret, replace
from .records import load as load_record

_PRODUCT = const("/product.json")
_DEVICE = const("/device.json")
_NVS_MOST = const(1024)  # longest product certificate in NVS, bytes

# The fields of product.json, one a line: name, type, minimum and maximum (length of text, value of
# a number), default. A single string takes a fifth of the heap of a table. The first four make up
# the place: where a device connects.
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
    """Check the fields of product.json and fill in defaults: the same dict.

    fields: the parsed file. mac: the board's MAC address, bytes, from which the DeviceName is
        made unless the file has one.
    In the result, `deviceName` is this board's full DeviceName. `named` is whether the board has
    to know it: it does in order to register; a unique certificate brings its own.
    Raises ConfigError that names the wrong field and what was expected.
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
    """Check a record of device.json: None, or why it is not an identity for this board, str.

    record: a parsed record, see `records`. product: as `product()` returns it.
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
    """The product certificate from NVS, where a factory may have put it: bytes.

    Namespace "aliyun_iot", blob "product": the contents of product.json, see docs/factory.md.
    Firmware erases all of NVS at a boot that finds it full or of another version. So it is copied
    to the file at `path`, which is used from then on. Raises OSError if NVS has none.
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
    """Read and check product.json: (dict, None), or (defaults, a ConfigError)."""
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
    except (ValueError, UnicodeError, TypeError):  # TypeError: a member whose name is not text
        problem = ConfigError("product.json: not JSON, or not UTF-8")
    except ConfigError as e:
        problem = e
    return product({}, machine.unique_id()), problem


def load(kind, context, name):
    """Make a Device from what is on flash.

    kind: the class Device. context: the TLS context, into which the roots are loaded; if that
    fails, the Device keeps the error, as it may not need TLS. name: the DeviceName, to be used in
    place of the one in product.json, or None. Raises ConfigError if there is neither a device
    certificate nor what is needed to register.
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
        record.pop("place", None)  # saves heap: `moving` reads it again
    return made


def settings(name):
    """The settings of product.json, as `load` reads them. Raises ConfigError."""
    fields, problem = _read_product(_PRODUCT, name)
    if problem:
        raise problem
    return fields


def trust(context, folder):
    """Make a TLS client `context` verify, trusting the certificates in `folder` (*.der).

    Raises TlsError if there are none, or if one is not a certificate: without roots the platform
    cannot be told from an impostor, so there must be no connection.
    """
    # The C class verifies by default, but the ssl module's wrapper does not: set it explicitly.
    context.verify_mode = tls.CERT_REQUIRED
    trusted = 0
    try:
        for name in os.listdir(folder):
            if name.endswith(".der"):
                with open(folder + "/" + name, "rb") as file:
                    context.load_verify_locations(file.read())
                trusted += 1
                gc.collect()  # TLS is about to need large blocks
    except ValueError:
        raise TlsError("{}/{}: not a DER certificate".format(folder, name))
    except OSError:
        pass
    if not trusted:
        raise TlsError(folder + ": no trust roots (*.der) on flash")
