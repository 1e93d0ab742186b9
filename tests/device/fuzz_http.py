"""Mutated HTTP answers through the reader of answers, and what takes the secret out of them."""

import io

import mutate
from aliyun_iot.errors import NetworkError
from aliyun_iot.https import read_answer
from aliyun_iot.registration import device_secret

_BODY = (
    b'{"code":200,"data":{"deviceName":"unit1","deviceSecret":"KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4",'
    b'"productKey":"a1ExpAkj9Hi"},"message":"success"}'
)
_HEAD = b"HTTP/1.1 200 OK\r\nServer: Tengine\r\nDate: Mon, 23 Nov 2026 18:00:00 GMT\r\n"
_LENGTH = b"Content-Length: %d\r\n\r\n"
CORPUS = (
    _HEAD + _LENGTH % len(_BODY) + _BODY,
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(_BODY) + _BODY + b"\r\n0\r\n\r\n",
    _HEAD + b"\r\n" + _BODY,
    b"HTTP/1.1 100 Continue\r\n\r\n" + _HEAD + _LENGTH % len(_BODY) + _BODY,
    _HEAD + _LENGTH % 27 + b'{"code":6289,"message":"x"}',
    b"HTTP/1.1 503 Busy\r\n" + _LENGTH % 4 + b"busy",
    b"HTTP/1.1 302 Found\r\nLocation: https://x/\r\n" + _LENGTH % 0,
    _HEAD + _LENGTH % 12 + b'{"code":1e9}',
)


class Answer:
    """What `read_answer` reads from: as wire.Stream, over bytes that are all there."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.left = len(data) + 50

    def _count(self):
        self.left -= 1
        if self.left < 0:
            raise mutate.Hang

    def readline(self, most):
        self._count()
        return self.file.readline(most)

    def read(self, count):
        self._count()
        data = self.file.read(count)
        if len(data) < count:
            raise NetworkError("the other end closed the connection")
        return data


def parse(data):
    status, body, _ = read_answer(Answer(data))
    secret = device_secret(status, body, "a1ExpAkj9Hi", "unit1")
    if not 0 < len(secret) <= 64:
        raise ValueError("a secret that cannot be one")


if __name__ == "__main__":
    mutate.run(CORPUS, parse)
