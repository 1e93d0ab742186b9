"""main.py of one cell of the session's matrix: a loop that people write, an application in it.

/cell.json holds {"loop":, "application":, "keepalive": seconds, "timeout": ms}. Prints `up N`
after each connect, `sent N` for each acknowledged message, `got TEXT` for each received one,
`lost` with the error when a connection ended, `given up N`, `raised` for what on_message raised.
"""

import json
import select

from aliyun_iot import IotError, device

with open("/cell.json") as file:
    cell = json.load(file)
LOOP = cell["loop"]
DO = cell["application"]
ups = number = 0


def pause(ms):
    select.poll().poll(ms)


def up(session):
    global ups
    ups += 1
    plain = getattr(session, "plain", session)
    plain.keepalive, plain.timeout = cell["keepalive"], cell["timeout"]
    print("up", ups)


def post(session):
    """Topic and payload of the next message."""
    global number
    number += 1
    return session.topic("user/update"), '{"n":%d}' % number


def done(qos):
    if qos:
        print("sent", number)


def taken(session, topic, payload):
    """Of a message: what an application's callback does, whichever way it gets there."""
    if not topic.endswith(b"user/get"):
        return
    print("got", payload.decode())
    if DO == "slow callback":
        pause(700)
    if DO == "raising callback":
        raise ValueError("the application's own")


def gave_up(session, topic, payload):
    print("given up", payload.decode())


# --- functions


def connected(session):
    up(session)
    if not session.topics:
        session.subscribe(session.topic("user/get"))


def message(session, topic, payload):
    taken(session, topic, payload)
    if DO == "publishes in callbacks" and topic.endswith(b"user/get"):
        session.publish(*post(session), qos=1)
        done(1)


def work(session):
    """What the application does by itself, at each turn of its loop."""
    if DO in ("QoS 0 often", "QoS 1"):
        session.publish(*post(session), qos=int(DO == "QoS 1"))
        done(DO == "QoS 1")


def turn(session):
    work(session)
    if LOOP == "check_msg and sleep":
        session.check_msg()
        pause(200)
        return
    got = session.wait(200 if LOOP == "wait(200)" else 0)
    if got:
        message(session, *got)
    elif LOOP == "wait(0)":
        pause(100)


def by_hand():
    """The loops of an application that does not use `run`."""
    board = device.Device.open()
    while True:
        try:
            session = board.connect()
            if LOOP == "check_msg and sleep":
                session.set_callback(lambda topic, payload: message(session, topic, payload))
            if session.given_up:
                gave_up(session, *session.given_up)
                session.given_up = None
            connected(session)
            while True:
                try:
                    turn(session)
                except ValueError:
                    print("raised")
        except IotError as e:
            print("lost:", e)
            pause(200)


def running():
    while True:
        try:
            device.run(connected, message, work, on_given_up=gave_up)
        except ValueError:
            print("raised")


def coroutines():
    import asyncio

    from aliyun_iot import aio

    async def aconnected(session):
        up(session)
        if not session.plain.topics:
            await session.subscribe(session.topic("user/get"))

    async def amessage(session, topic, payload):
        taken(session, topic, payload)
        if DO == "publishes in callbacks" and topic.endswith(b"user/get"):
            await session.publish(*post(session), qos=1)
            done(1)

    async def awork(session):
        if DO in ("QoS 0 often", "QoS 1"):
            await session.publish(*post(session), qos=int(DO == "QoS 1"))
            done(DO == "QoS 1")

    while True:
        try:
            asyncio.run(aio.run(aconnected, amessage, awork, on_given_up=gave_up))
        except ValueError:
            print("raised")


if LOOP == "run":
    running()
elif LOOP == "asyncio":
    coroutines()
else:
    by_hand()
