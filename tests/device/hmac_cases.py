"""Signs each given [method, key in hex, message in hex]: a list of hex HMACs."""

import json
import sys

from aliyun_iot.hmac import hmac_hex

with open(sys.argv[1]) as file:
    cases = json.load(file)
print(json.dumps([hmac_hex(m, bytes.fromhex(k), bytes.fromhex(t)) for m, k, t in cases]))
