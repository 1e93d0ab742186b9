# Nothing is registered: the factory wrote this board's own device.json.
#   product.json  {"productKey": "a1ExpAkj9Hi"}                       no productSecret
#   device.json   {"productKey": "...", "deviceName": "...", "deviceSecret": "..."}
from aliyun_iot import ConfigError, device


def on_connect(session):
    session.publish(session.topic("thing/event/property/post"), '{"id":"1","params":{"t":21}}')
    print("online with the certificate of", session.device_name)


def on_message(session, topic, payload):
    print("message on", topic.decode(), payload)


try:
    device.run(on_connect, on_message)
except ConfigError as e:  # names the file and the field
    print("back to the factory:", e)
