# Identity from this package, MQTT from the firmware's umqtt.simple (1.4 and later) as it is.
# What is missing then: deadlines, reconnection, the platform's limits. See docs/api.md, Session.
import time

from aliyun_iot.device import Device
from umqtt.simple import MQTTClient


def on_message(topic, payload):
    print("message on", topic.decode(), payload)


board = Device.open()  # registers at the first boot
client_id, user, password = board.credentials()
device_name = user.split("&")[0]
host, product_key, port, keepalive, _ = board.login()[1:]
client = MQTTClient(client_id, host, port, user, password, keepalive, ssl=board.trust())
client.set_callback(on_message)
client.connect()
print("connected")
topic = "/sys/{}/{}/thing/event/property/post".format(product_key, device_name)
client.publish(topic, '{"id":"1","params":{"t":21}}', qos=1)
pinged = time.ticks_ms()
while True:
    client.check_msg()
    if time.ticks_diff(time.ticks_ms(), pinged) > keepalive * 500:
        client.ping()
        pinged = time.ticks_ms()
    time.sleep_ms(100)
