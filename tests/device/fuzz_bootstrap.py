"""Mutated answers of bootstrap through the reader of answers, and what takes the place out."""

import mutate
from aliyun_iot import loads
from aliyun_iot.https import read_answer
from aliyun_iot.moving.asked import reply
from aliyun_iot.moving.bootstrap import place
from fuzz_http import Answer

_HOST = b"iot-060a0bgd.mqtt.iothub.aliyuncs.com"
_BODY = (
    b'{"code":200,"data":{"resources":{"mqtt":{"host":"' + _HOST + b'","port":"1883"}}},'
    b'"message":"success"}'
)
_FLAT = b'{"port": 8883, "x": "\\"host\\"", "host" : "' + _HOST + b'"}'
_HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 18:00:00 GMT\r\n"
_LENGTH = b"Content-Length: %d\r\n\r\n"
_NOTICE = b'{"id":"123","version":"1.0","method":"thing.bootstrap.notify","params":{"cmd":0}}'
CORPUS = (
    _HEAD + _LENGTH % len(_BODY) + _BODY,
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(_BODY) + _BODY + b"\r\n0\r\n\r\n",
    _HEAD + b"\r\n" + _BODY,
    _HEAD + b"\r\n" + _FLAT,
    _HEAD + _LENGTH % 27 + b'{"code":6100,"message":"x"}',
    b"HTTP/1.1 503 Busy\r\n" + _LENGTH % 4 + b"busy",
    _NOTICE,
)


def parse(data):
    if not data.startswith(b"HTTP"):
        answer = reply(b"/sys/a1ExpAkj9Hi/unit1/thing/bootstrap/notify", data)
        if answer:
            loads(answer[1])
        return
    status, body, _ = read_answer(Answer(data))
    host, port = place(status, body, "a1ExpAkj9Hi", "unit1")
    if not 0 < port < 65536 or not host or "/" in host or " " in host or ":" in host:
        raise ValueError("a place that cannot be one")
    if str(port) not in bytes(body).decode() or host not in bytes(body).decode():
        raise ValueError("a place that was not told")


if __name__ == "__main__":
    mutate.run(CORPUS, parse)
