# Identity from this package, MQTT from mqtt_as (peterhinch/micropython-mqtt 0.8).
import asyncio
import json
import ssl

from aliyun_iot.device import Device
from mqtt_as import MQTTClient, config

board = Device.open()  # registers at the first boot
client_id, user, password = board.credentials()
device_name = user.split("&")[0]
host, product_key, port, keepalive, _ = board.login()[1:]
with open("/wifi.json") as file:
    wifi = json.load(file)
with open("/roots/globalsign-root-ca.der", "rb") as file:
    root = file.read()

config["client_id"], config["user"], config["password"] = client_id, user, password
config["server"], config["port"] = host, port
config["keepalive"] = keepalive
config["ssl"] = True
config["ssl_params"] = {"server_hostname": host, "cert_reqs": ssl.CERT_REQUIRED, "cadata": root}
config["ssid"], config["wifi_pw"] = wifi["ssid"], wifi["password"]
config["queue_len"] = 4


async def main():
    client = MQTTClient(config)
    await client.connect()
    topic = "/sys/{}/{}/thing/event/property/post".format(product_key, device_name)
    await client.publish(topic, '{"id":"1","params":{"t":21}}', qos=1)
    async for topic, payload, _ in client.queue:
        print("message on", topic.decode(), payload)


asyncio.run(main())
