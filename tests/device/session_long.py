"""main.py of what takes long: {"do": "publishes" | "large" | "stalled", "loop": "run" | "asyncio",
"count":} in /long.json. Prints `done` and what was reached, or `failed`, the error and after how
many ms."""

import json
import time

from aliyun_iot import IotError
from aliyun_iot.device import Device

with open("/long.json") as file:
    given = json.load(file)
SIZE = 262144


def report(began, e):
    print("failed", time.ticks_diff(time.ticks_ms(), began), e)


def plain(session):
    began = time.ticks_ms()
    topic = session.topic("user/update")
    try:
        if given["do"] == "publishes":
            for _ in range(given["count"]):
                session.publish(topic, b"x", qos=1)
            print("done", session.pid)
        else:
            session.publish(topic, bytes(SIZE), qos=1)
            print("done", SIZE)
    except IotError as e:
        report(began, e)


async def coroutine(face):
    began = time.ticks_ms()
    try:
        await face.publish(face.topic("user/update"), bytes(SIZE), 1)
        print("done", SIZE)
    except IotError as e:
        report(began, e)


board = Device.open()
session = board.connect()
print("ready")
if given["loop"] == "asyncio":
    import asyncio

    from aliyun_iot import aio

    asyncio.run(coroutine(aio.Session(session)))
else:
    plain(session)
