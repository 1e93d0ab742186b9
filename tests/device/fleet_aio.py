"""As fleet_run.py, as coroutines; with a file /tasks, one more of them publishes, too.

Of several tasks each sends again what raised: what waits for its turn when the connection ends is
not kept.
"""

import asyncio
import json
import os
import time

from aliyun_iot import IotError, aio

sleep_ms = asyncio.sleep_ms


async def hurried(ms):
    if ms > 2000:
        time.sleep_ms(ms - 2000)  # idle time in a hurry, as the simulator has it for `run`
        ms = 0
    await sleep_ms(ms)


asyncio.sleep_ms = hurried
boot = os.urandom(4).hex()
sent = own = 0
again = []
stopping = False
face = worker = None
tasks = "tasks" in os.listdir("/")


def on_connect(session):
    global face, worker
    if face is None and tasks:
        face = session
        worker = asyncio.create_task(task())
    print("at", session.plain.server)


def on_given_up(session, topic, payload):
    again.append(payload)


async def on_idle(session):
    global sent
    while again:
        await session.publish(session.topic("user/update"), again.pop(), qos=1)
    if stopping:
        print("sent", boot, sent)
        if tasks:
            print("sent", boot + "t", own)
        print("all said")
        return
    if sent == 5:
        print("publishing")
    number = sent
    if not tasks:
        sent += 1
    await session.publish(session.topic("user/update"), "%s %d" % (boot, number), qos=1)
    if tasks:
        sent += 1


async def task():
    global own
    while not stopping:
        try:
            await face.publish(face.topic("user/update"), "%st %d" % (boot, own), qos=1)
            own += 1
        except IotError:
            pass
        await asyncio.sleep(1)


def on_message(session, topic, payload):
    global stopping
    if not topic.endswith(b"user/get"):
        return
    if payload == b"stop":
        stopping = True
        return
    session.plain.device.relocate(**json.loads(payload))
    print("relocating")


asyncio.run(aio.run(on_connect, on_message, on_idle, on_given_up=on_given_up))
