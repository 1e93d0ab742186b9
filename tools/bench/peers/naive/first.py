# A peer: registers and connects as a short script does. It verifies no certificate, stores
# nothing, tries nothing again, and waits for ever. The host fills in the names in capitals.
import binascii

import machine
import requests
from signing import hmac_sha256  # the host puts the module's text here
from umqtt.simple import MQTTClient

PRODUCT_KEY = "$PRODUCT_KEY"
PRODUCT_SECRET = "$PRODUCT_SECRET"


def on_message(topic, payload):
    print("message on", topic, payload)


name = binascii.hexlify(machine.unique_id()).decode()
content = "deviceName" + name + "productKey" + PRODUCT_KEY + "random123456"
answer = requests.post(
    "https://localhost:$REGISTER_PORT/auth/register/device",
    data="productKey="
    + PRODUCT_KEY
    + "&deviceName="
    + name
    + "&random=123456&sign="
    + hmac_sha256(PRODUCT_SECRET, content)
    + "&signMethod=hmacsha256",
    headers={"Content-Type": "application/x-www-form-urlencoded"},
)
secret = answer.json()["data"]["deviceSecret"]
print("registered")

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
