# The application's tasks run on while the device connects, waits, sends and reconnects.
import asyncio

from aliyun_iot import NetworkError, aio

online = None  # the Session, once there is one


async def measure():
    count = 0
    while True:
        await asyncio.sleep(1)
        count += 1
        if online:
            try:
                payload = '{{"id":"{0}","params":{{"count":{0}}}}}'.format(count)
                await online.publish(online.topic("thing/event/property/post"), payload)
            except NetworkError as e:
                print("not sent:", e)  # `run` connects again


async def on_connect(session):
    global online
    online = session


async def on_message(session, topic, payload):
    print("message on", topic.decode(), payload)


async def main():
    task = asyncio.create_task(measure())
    try:
        await aio.run(on_connect, on_message)
    finally:
        task.cancel()


asyncio.run(main())
