# Answer remote calls; the platform waits eight seconds for it.
#   /ext/rrpc/{id}/{topic}                  answered on the same topic
#   /sys/{pk}/{dn}/rrpc/request/{id}        answered on ../rrpc/response/{id}
import json
import time

from aliyun_iot import device


def call(payload):
    if payload == b"time":
        return {"time": time.time()}
    return {"error": "expected: time"}


def on_message(session, topic, payload):
    if topic.startswith(b"/ext/rrpc/"):
        session.publish(topic, json.dumps(call(payload)))
    elif b"/rrpc/request/" in topic:
        answer = topic.replace(b"/rrpc/request/", b"/rrpc/response/")
        session.publish(answer, json.dumps(call(payload)))


device.run(None, on_message)
