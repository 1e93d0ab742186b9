# Runs on the board: what it holds of an identity. Secrets are masked here, before the wire.
import json
import os
from binascii import crc32

_SECRET = ("productSecret", "deviceSecret", "deviceToken", "password")


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


def tell(path):
    try:
        with open(path) as file:
            data = file.read()
    except OSError:
        return
    try:
        record = json.loads(data)
    except (ValueError, UnicodeError):
        say("record", [path, None, "not JSON" if data else "empty"])
        return
    state = judge(record) if "device" in path else "whole"
    if isinstance(record, dict):
        record.pop("check", None)
    say("record", [path, masked(record), state])


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
say("end", 0)
