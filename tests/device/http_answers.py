"""Reads each given HTTP answer (hex): [status, body, date], or {"error": ..., "text": ...}."""

import io
import json
import sys

from aliyun_iot.errors import IotError, NetworkError
from aliyun_iot.https import read_answer


class Answer:
    """What `read_answer` reads from: as wire.Stream, over bytes that are all there."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.readline = self.file.readline

    def read(self, count):
        data = self.file.read(count)
        if len(data) < count:
            raise NetworkError("the other end closed the connection")
        return data


def read(answer):
    try:
        status, body, date = read_answer(Answer(bytes.fromhex(answer)))
        return [status, bytes(body).decode(), date and date.decode()]
    except IotError as e:
        return {"error": type(e).__name__, "text": str(e)}


with open(sys.argv[1]) as file:
    answers = json.load(file)
print(json.dumps([read(answer) for answer in answers]))
