# Main script: registers if need be, connects, and does nothing more.
import time

from aliyun_iot.device import Device

session = Device.open().connect()
print("here")
time.sleep(60)
