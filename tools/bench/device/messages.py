# What a message costs: this package's session and bare umqtt.simple, side by side, one process.
#
# The first argument names a JSON file: {"tcp": port, "tls": port, "ca": hex, "count":, "rounds":}.
# Prints lines `cost WHO TRANSPORT WAY QOS MICROSECONDS BYTES`, the latter allocated per message.
import binascii
import gc
import json
import sys
import time

sys.path.append(".frozen")  # ssl
import aliyun_iot
import tls
from aliyun_iot.session import Session
from umqtt.simple import MQTTClient

with open(sys.argv[1]) as file:
    given = json.load(file)
COUNT = given["count"]
FEW = 20
TOPIC = b"/sys/a1ExpAkj9Hi/246f28aabbcc/thing/event/property/post"
PAYLOAD = b'{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"t":21.5}}'
CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x01\x2c\x00\x06client"
aliyun_iot.log_level = 0


def package(encrypted):
    context = None
    if encrypted:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        context.load_verify_locations(binascii.unhexlify(given["ca"]))
    port = given["tls" if encrypted else "tcp"]
    session = Session("pk", "dn", "localhost", port, 300, context)
    session.connect(CONNECT)

    def receive():
        session.wait(60000)

    return session, receive


def umqtt(encrypted):
    client = MQTTClient("client", "127.0.0.1", given["tls" if encrypted else "tcp"], ssl=encrypted)
    client.set_callback(lambda topic, payload: None)
    client.connect()
    return client, client.wait_msg


def send(client, qos, count):
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, False, qos)


def take(receive, count):
    for _ in range(count):
        receive()


def measured(function, *args):
    """Microseconds and bytes allocated for each of the messages; the last argument: how many.

    The collector is off, or its turn would fall on one or the other. So a few messages at a time,
    on a heap that was just collected: an allocation looks for its place past all garbage.
    """
    took = heap = 0
    for _ in range(args[-1] // FEW):
        gc.collect()
        gc.disable()
        used = gc.mem_alloc()
        began = time.ticks_us()
        function(*args[:-1], FEW)
        took += time.ticks_diff(time.ticks_us(), began)
        heap += gc.mem_alloc() - used
        gc.enable()
    return took / args[-1], heap / args[-1]


def flooded(client, receive, qos):
    # All of it lies in the socket before the first is taken.
    client.publish(b"/flood", "{} {}".format(qos, COUNT))
    time.sleep_ms(given["pause"])
    return measured(take, receive, COUNT)


best = {}
for _ in range(given["rounds"]):
    for encrypted in (False, True):
        for who, make in (("package", package), ("umqtt", umqtt)):
            client, receive = make(encrypted)
            for qos in (0, 1):
                # umqtt.simple's four small segments wait for delayed acknowledgements each time.
                count = FEW if qos and who == "umqtt" else COUNT
                for way, cost in (
                    ("sent", measured(send, client, qos, count)),
                    ("received", flooded(client, receive, qos)),
                ):
                    key = (who, "TLS" if encrypted else "TCP", way, qos)
                    best[key] = min(best.get(key, cost), cost)
            client.disconnect()
for key, cost in best.items():
    print("cost", *key, *cost)
