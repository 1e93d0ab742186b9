"""Calls given [[module, function, arguments], ...] of the package: a list of results.

A result is what the function returns (bytes as {"bytes": hex}), or, where it raises,
{"error": class name, "text": message, "code": platform code, "retry": bool}.
"""

import json
import sys

from aliyun_iot.errors import IotError


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def given(value):
    if isinstance(value, list):
        return [given(item) for item in value]
    return bytes.fromhex(value["bytes"]) if isinstance(value, dict) and "bytes" in value else value


def call(module, function, arguments):
    target = getattr(__import__("aliyun_iot." + module, None, None, [function]), function)
    try:
        return plain(target(*given(arguments)))
    except IotError as e:
        return {"error": type(e).__name__, "text": str(e), "code": e.code, "retry": e.retry}


with open(sys.argv[1]) as file:
    calls = json.load(file)
print(json.dumps([call(*each) for each in calls]))
