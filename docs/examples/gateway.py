# Bring three sensors online through this board and post what they measure.
from aliyun_iot import device
from aliyun_iot.gateway import Gateway

SENSORS = [("a1SensorKey", "sensor-%03d" % n) for n in range(3)]
POST = '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"t":21}}'
gateway = None


def tell(product_key, device_name, error):
    print(device_name, error or "online")


def on_connect(session):
    global gateway
    gateway = gateway or Gateway(session)
    print(gateway.bring_online(SENSORS, tell), "sensors online")
    for product_key, device_name in SENSORS:
        gateway.publish(product_key, device_name, "thing/event/property/post", POST)


def on_message(session, topic, payload):
    if not (gateway and gateway.handle(topic, payload)):
        print("message on", topic.decode(), payload)


device.run(on_connect, on_message)
