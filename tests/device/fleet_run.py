"""main.py of a board of a fleet that is moved: a QoS 1 message a second.

Each has the number of its boot and its own, so that one that is missing shows. `publish` keeps the
one that it could not send: it counts as sent before. "stop" on user/get ends it, with what was
sent; anything else there is where to go.
"""

import json
import os

from aliyun_iot import device

boot = os.urandom(4).hex()
sent = 0
again = []
stopping = False


def on_connect(session):
    print("at", session.server)


def on_given_up(session, topic, payload):
    again.append(payload)


def on_idle(session):
    global sent
    while again:
        session.publish(session.topic("user/update"), again.pop(), qos=1)
    if stopping:
        print("sent", boot, sent)
        print("all said")
        return
    if sent == 5:
        print("publishing")
    sent += 1
    session.publish(session.topic("user/update"), "%s %d" % (boot, sent - 1), qos=1)


def on_message(session, topic, payload):
    global stopping
    if not topic.endswith(b"user/get"):
        return
    if payload == b"stop":
        stopping = True
        return
    session.device.relocate(**json.loads(payload))
    print("relocating")


device.run(on_connect, on_message, on_idle, on_given_up=on_given_up)
