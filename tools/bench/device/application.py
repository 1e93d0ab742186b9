# Main script: an application's loop (JSON, lists, now and then a message), timed. It publishes
# by a session of this package, or by umqtt.simple with credentials that the host has made.
import json
import time

import micropython

TOPIC = "/$PRODUCT_KEY/$NAME/user/update"


def connected():
    if "$WITH" == "this package":
        from aliyun_iot.device import Device

        return Device.open().connect()
    from umqtt.simple import MQTTClient

    client = MQTTClient(
        "$CLIENT_ID", "localhost", int("$MQTT_PORT"), "$USER", "$PASSWORD", 300, ssl=True
    )
    client.connect()
    return client


def loop(session):
    kept = []
    for number in range(200):
        text = '{"id":"%d","version":"1.0","params":{"t":21.5,"seen":[1,2,3]}}' % number
        fields = json.loads(text)
        kept.append([number, fields["params"]["seen"], text])
        if len(kept) > 50:
            kept = kept[25:]
        if number == 1000:
            session.publish(TOPIC, json.dumps(fields))


for number in range(int("$NAMES")):
    exec("lambda: name_of_another_{}".format(number))
session = connected()
loop(session)
took = []
for _ in range(int("$ROUNDS")):
    began = time.ticks_us()
    loop(session)
    took.append(time.ticks_diff(time.ticks_us(), began))
micropython.qstr_info()
print("loop", min(took))
