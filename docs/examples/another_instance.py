# Move to another instance that knows this device: its place comes in a message to user/move, as
#   {"instanceId": "iot-060a0bgd"}        or {"mqttHost": ..., "mqttPort": ...}
# Where the identity is refused there, the device comes back: docs/moving.md.
import json

from aliyun_iot import IotError, device


def topic(session):
    return "/{}/{}/user/move".format(session.product_key, session.device_name)


def on_connect(session):
    session.subscribe(topic(session))
    print("online at", session.server, session.port)


def on_message(session, where, payload):
    if where == topic(session).encode():
        try:
            session.device.relocate(**json.loads(payload))
            print("moving")
        except (IotError, ValueError, TypeError) as e:  # which field is wrong, or no JSON
            print("not moved:", e)


device.run(on_connect, on_message)
