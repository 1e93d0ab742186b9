# Main script of a measured gateway: brings sub-devices online; the host fills in the names.
import gc
import time

import machine
from aliyun_iot.device import Device
from aliyun_iot.gateway import Gateway

COUNT = int("$COUNT")
HELD = bytearray(int("$HELD"))
SENSOR_KEY = "$SENSOR_KEY"
MAC = machine.unique_id().hex()


class Sensors:
    def __iter__(self):
        for number in range(COUNT):
            yield SENSOR_KEY, "{}-{:04}".format(MAC, number)


def each(product_key, device_name, error):
    if error:
        print("error:", device_name, error)


session = Device.open().connect()
gateway = Gateway(session)
gc.collect()
before = gc.mem_alloc()
began = time.ticks_ms()
count = gateway.bring_online(Sensors(), each)
took = time.ticks_diff(time.ticks_ms(), began)
gc.collect()
print("gateway", count, took, gc.mem_alloc() - before)
