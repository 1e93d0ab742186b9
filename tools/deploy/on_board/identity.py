# Runs on the board: what it holds of an identity. Secrets are masked here, before the wire.
import json
import os
from binascii import crc32

_SECRET = ("productSecret", "deviceSecret", "deviceToken", "oldSecret", "password")


def say(kind, value):
    print("@@" + json.dumps([kind, value]))


def masked(value):
    if isinstance(value, dict):
        return {
            name: "set, {} characters".format(len(value[name]))
            if name in _SECRET and isinstance(value[name], str)
            else masked(value[name])
            for name in value
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def judge(record):
    """As the package's store does: a CRC-32 tells whole from torn."""
    if not isinstance(record, dict):
        return "not a JSON object"
    if "check" not in record:
        return "whole (no check)"
    text = "".join([name + str(record[name]) for name in sorted(record) if name != "check"])
    return "whole" if record["check"] == "{:08x}".format(crc32(text.encode())) else "damaged"


def ends(text):
    """Whether what is opened is closed: firmware before 1.26 accepts JSON that is cut off."""
    depth = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
    return depth == 0 and not quoted


def load(path):
    """The record of a file and its state; None and why not, if it is none."""
    with open(path) as file:
        data = file.read()
    try:
        record = json.loads(data)
    except (ValueError, UnicodeError):
        return None, "not JSON" if data else "empty"
    if not ends(data):
        return None, "cut off"
    return record, judge(record)


def tell(path):
    try:
        record, state = load(path)
    except OSError:
        return
    if record is not None and "device" not in path:
        state = "whole"
    if isinstance(record, dict):
        record.pop("check", None)
    say("record", [path, masked(record), state])


def subdevices():
    """A page of a gateway's: place -> "ProductKey DeviceName DeviceSecret"."""
    try:
        pages = sorted(os.listdir("/subdevices"))
    except OSError:
        return
    for page in pages:
        path = "/subdevices/" + page
        try:
            record, state = load(path)
        except OSError as e:
            record, state = None, "cannot be read ({})".format(e)
        names = []
        if isinstance(record, dict):
            for place in record:
                words = str(record[place]).split(" ")
                if place != "check" and len(words) == 3:
                    names.append(words[:2])
        say("subdevices", [path, names, state])


def nvs():
    try:
        import esp32

        buffer = bytearray(2000)
        count = esp32.NVS("aliyun_iot").get_blob("product", buffer)
    except (ImportError, AttributeError, OSError):
        return
    try:
        say("record", ["NVS aliyun_iot/product", masked(json.loads(buffer[:count])), "whole"])
    except (ValueError, UnicodeError):
        say("record", ["NVS aliyun_iot/product", None, "not JSON"])


def own():
    import sys

    import machine

    version = ".".join([str(part) for part in sys.implementation[1][:3]])
    say("board", [machine.unique_id().hex(), version])


own()
for name in sorted(os.listdir("/")):
    if name in ("product.json", "device.json", "device.json.new", "wifi.json", "build.json"):
        tell("/" + name)
nvs()
subdevices()
say("end", 0)
