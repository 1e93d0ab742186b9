# Move to another instance that knows this device: its host comes in a message to user/move, as
#   {"instanceId": "iot-060a0bgd"}        or {"mqttHost": ..., "mqttPort": ...}
# Try it with one board: who is sent to a wrong host cannot be called back.
import json

import machine
from aliyun_iot import ConfigError, IotError, device, phase
from aliyun_iot.records import replace


def move(message):
    with open("/product.json", "rb") as file:
        fields = json.loads(file.read())
    fields.update(json.loads(message))
    phase("identity.product", dict(fields), machine.unique_id())  # ConfigError: which field
    replace("/product.json", json.dumps(fields).encode())  # survives a power cut
    print("moving")
    machine.reset()


def topic(session):
    return "/{}/{}/user/move".format(session.product_key, session.device_name)


def on_connect(session):
    session.subscribe(topic(session))
    print("online at", session.server)


def on_message(session, where, payload):
    if where == topic(session).encode():
        try:
            move(payload)
        except (ConfigError, IotError, ValueError) as e:
            print("not moved:", e)


device.run(on_connect, on_message)
