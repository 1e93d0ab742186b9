# Main script of a measured first boot: says what is on the heap at each point.
import gc


def stage(name):
    gc.collect()
    print("stage", gc.mem_alloc(), name)


stage("boot.py is over")
from aliyun_iot.device import Device  # noqa: E402

stage("aliyun_iot.device imported")
device = Device.load()
stage("settings and TLS context loaded")
device.register()
stage("registered, identity stored")
session = device.connect()
stage("connected")
payload = '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"boots":1}}'
session.publish(session.topic("thing/event/property/post"), payload)
session.wait(5000)
payload = None
stage("first message received")
print("end of stages")
