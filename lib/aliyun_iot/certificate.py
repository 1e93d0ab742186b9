"""Product certificate and device certificate: their fields, and the rules each must keep.

`Product` is what product.json says; a device certificate is a plain dict on its way to and from
device.json (see `store`). Nothing here opens a file.
"""

from .errors import ConfigError

# name: (type, least, most, default); least and most count characters or bound the number.
_FIELDS = {
    "productKey": (str, 1, 20, None),
    "productSecret": (str, 1, 64, None),
    "deviceName": (str, 1, 32, "mac"),
    "deviceNamePrefix": (str, 0, 20, ""),
    "signMethod": (str, 7, 10, "hmacsha256"),
    "registration": (str, 4, 9, "https"),
    "registrationSecuremode": (int, -2, 2, 0),
    "region": (str, 1, 32, "cn-shanghai"),
    "instanceId": (str, 1, 64, None),
    "registerHost": (str, 1, 128, None),
    "registerPort": (int, 1, 65535, 443),
    "mqttHost": (str, 1, 128, None),
    "mqttPort": (int, 1, 65535, None),
    "securemode": (int, 2, 3, 2),
    "keepalive": (int, 30, 1200, 300),
    "roots": (str, 1, 64, "/roots"),
    "forgetProductSecret": (bool, 0, 1, False),
}
_CHOICES = (
    ("signMethod", "hmacmd5 hmacsha1 hmacsha256"),
    ("registration", "https mqtt mqtt-free"),
    ("registrationSecuremode", "0 2 -2"),  # 0: the way's own
)


def _only(value, also):
    return all(
        char in also or (ord(char) < 128 and (char.isalpha() or char.isdigit())) for char in value
    )


def is_product_key(value):
    """Whether `value` is a ProductKey: 1 to 20 ASCII letters and digits."""
    return isinstance(value, str) and 0 < len(value) <= 20 and _only(value, "")


def is_device_name(value):
    """Whether `value` is a DeviceName: 4 to 32 of letters, digits and - _ @ . :"""
    return isinstance(value, str) and 4 <= len(value) <= 32 and _only(value, "-_@.:")


def is_secret(value, most=64):
    """Whether `value` can be a secret: 1 to `most` printable ASCII characters, no space."""
    if not isinstance(value, str) or not 0 < len(value) <= most:
        return False
    return all("!" <= char <= "~" for char in value)


class Product:
    """The product certificate and the settings beside it, checked.

    fields: what product.json holds, a dict; every name of `_FIELDS` may be asked for with
        `product["name"]` and gives the file's value or the default.
    mac: the board's MAC address, bytes; the DeviceName is made of it unless the file names one.
    Raises ConfigError naming the field that is wrong and what was expected. It never repeats
    the value: that may be a secret in the wrong place.
    """

    def __init__(self, fields, mac):
        if not isinstance(fields, dict):
            raise ConfigError("product.json: expected a JSON object")
        for name in fields:
            if name not in _FIELDS:
                raise ConfigError("product.json: {}: no such field".format(str(name)[:32]))
            kind, least, most, _ = _FIELDS[name]
            value = fields[name]
            size = len(value) if isinstance(value, str) else value
            if type(value) is not kind or not least <= size <= most:
                what = {str: "text of {} to {} characters", int: "a number from {} to {}"}
                what = what.get(kind, "true or false").format(least, most)
                raise ConfigError("product.json: {}: expected {}".format(name, what))
        self._fields = fields
        for name, choices in _CHOICES:
            if str(self[name]).lower() not in choices.split(" "):
                raise ConfigError("product.json: {}: expected one of {}".format(name, choices))
        if not is_product_key(fields.get("productKey", "a")):
            raise ConfigError("product.json: productKey: expected 1 to 20 letters and digits")
        if "productSecret" in fields and not is_secret(fields["productSecret"]):
            raise ConfigError("product.json: productSecret: expected printable ASCII, no space")
        self.device_name = self["deviceNamePrefix"] + self["deviceName"]
        if self["deviceName"] == "mac":
            self.device_name = self["deviceNamePrefix"] + mac.hex()
        if not is_device_name(self.device_name):
            raise ConfigError(
                "product.json: deviceName: expected 4 to 32 of letters, digits, - _ @ . : "
                'with deviceNamePrefix, or "mac"'
            )

    def __getitem__(self, name):
        return self._fields.get(name, _FIELDS[name][3])

    def names_device(self):
        """Whether this board can say its own DeviceName: to register, or because the file does."""
        return "productSecret" in self._fields or "deviceName" in self._fields
