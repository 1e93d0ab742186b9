"""Answers of bootstrap, [[status, body, ...]]: (host, port) or {"error", "text"} of each; and of
every beginning of each body: what it was taken for, if it was not refused."""

import json
import sys

from aliyun_iot.errors import ProtocolError
from aliyun_iot.moving.asked import reply
from aliyun_iot.moving.bootstrap import form, is_host, place


def take(status, body):
    try:
        return place(status, body, "a1ExpAkj9Hi", "unit1")
    except ProtocolError as e:
        return {"error": "ProtocolError", "text": str(e), "code": e.code}


with open(sys.argv[1]) as file:
    given = json.load(file)
if "notices" in given:
    told = []
    for text in given["notices"]:
        answer = reply(b"t", text.encode())
        told.append(answer and answer[1].decode())
elif "hosts" in given:
    told = [is_host(text) for text in given["hosts"]]
elif "form" in given:
    told = form(*given["form"])
else:
    told = [take(status, body.encode()) for status, body in given["answers"]]
    for status, body in given.get("cut", ()):
        for size in range(len(body)):
            found = take(status, body[:size].encode())
            if not isinstance(found, dict):
                told.append([size, found])
print(json.dumps(told))
