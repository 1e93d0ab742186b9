# A peer: connects with a DeviceSecret written into the script. As first.py, without registering.
import binascii

import machine
from signing import hmac_sha256  # the host puts the module's text here
from umqtt.simple import MQTTClient

PRODUCT_KEY = "$PRODUCT_KEY"
DEVICE_SECRET = "$DEVICE_SECRET"


def on_message(topic, payload):
    print("message on", topic, payload)


name = binascii.hexlify(machine.unique_id()).decode()
content = "clientId" + name + "deviceName" + name + "productKey" + PRODUCT_KEY
client = MQTTClient(
    name + "|securemode=2,signmethod=hmacsha256,_ss=1|",
    "localhost",
    int("$MQTT_PORT"),
    user=name + "&" + PRODUCT_KEY,
    password=hmac_sha256(DEVICE_SECRET, content),
    keepalive=300,
    ssl=True,
)
client.set_callback(on_message)
client.connect()
print("connected")
if "$POST":
    client.publish(
        "/sys/" + PRODUCT_KEY + "/" + name + "/thing/event/property/post",
        '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"boots":1}}',
    )
while True:
    client.wait_msg()
