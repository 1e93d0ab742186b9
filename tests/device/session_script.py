"""A piece of application on a session of its own: see tests/session_peer.py."""

import json
import sys

sys.path.append(".frozen")  # asyncio
import aliyun_iot
from aliyun_iot.session import Session

with open(sys.argv[1]) as file:
    given = json.load(file)
results = []
told = results.append
lines = []


def log(*words):
    lines.append(" ".join([str(word) for word in words]))


for name in ("", ".session", ".wire", ".connection"):
    __import__("aliyun_iot" + name)
    sys.modules["aliyun_iot" + name].log = log
aliyun_iot.time_source = "kept"
context = None
if given["ca"]:
    import binascii

    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(binascii.unhexlify(given["ca"]))
session = Session("pk", "dn", "localhost", given["port"], given["keepalive"], context)
session.timeout = given["timeout"]


def connect():
    session.connect(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06client")
    return session


def outcome(function, *args, **more):
    try:
        result = function(*args, **more)
        return [None, repr(result)]
    except BaseException as e:
        return [type(e).__name__, str(e)]


def run(main):
    import asyncio

    from aliyun_iot import aio

    face = aio.Session(session)

    async def go():
        packet = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06client"
        await face.drive(session.connecting(packet, bool(context)))
        await main(face)

    asyncio.run(go())


exec(given["source"], globals())
print(json.dumps(results))
