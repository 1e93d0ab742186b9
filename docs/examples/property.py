# Post a property every minute, and take in what the cloud sets.
import json

from aliyun_iot import device

REPLY = '{{"id":"{}","code":200,"data":{{}}}}'
state = {"lamp": 0}
wait = 0  # seconds to the next post


def post(session):
    message = {"id": "1", "version": "1.0", "params": state, "method": "thing.event.property.post"}
    session.publish(session.topic("thing/event/property/post"), json.dumps(message), qos=1)


def on_idle(session):  # about once a second
    global wait
    if wait <= 0:
        post(session)
        wait = 60
    wait -= 1


def on_message(session, topic, payload):
    if topic == session.topic("thing/service/property/set").encode():
        request = json.loads(payload)
        state.update(request["params"])
        session.publish(
            session.topic("thing/service/property/set_reply"), REPLY.format(request["id"])
        )
        post(session)
        print("state:", state)


device.run(None, on_message, on_idle)
