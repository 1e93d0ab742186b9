# A peer: registers or not, and connects, as a short script does. It verifies no certificate,
# stores nothing, tries nothing again, and waits for ever. The host fills in the names in capitals,
# and puts a module's text where `signing` and `secret` are imported.
import binascii

import machine
from signing import hmac_sha256
from umqtt.simple import MQTTClient

PRODUCT_KEY = "$PRODUCT_KEY"


def on_message(topic, payload):
    print("message on", topic, payload)


name = binascii.hexlify(machine.unique_id()).decode()
from secret import secret  # noqa: E402 - registered.py or written.py, which need the name

content = "clientId" + name + "deviceName" + name + "productKey" + PRODUCT_KEY
client = MQTTClient(
    name + "|securemode=2,signmethod=hmacsha256,_ss=1|",
    "localhost",
    int("$MQTT_PORT"),
    user=name + "&" + PRODUCT_KEY,
    password=hmac_sha256(secret, content),
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
