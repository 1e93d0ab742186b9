"""Checks each given product.json (already parsed): [DeviceName] or {"error", "text"}."""

import json
import sys

from aliyun_iot import identity
from aliyun_iot.errors import IotError


def check(fields):
    try:
        return [identity.product(fields, b"\x24\x6f\x28\xaa\xbb\xcc")["deviceName"]]
    except IotError as e:
        return {"error": type(e).__name__, "text": str(e)}


with open(sys.argv[1]) as file:
    print(json.dumps([check(fields) for fields in json.load(file)]))
