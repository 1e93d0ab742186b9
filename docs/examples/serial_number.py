# The serial number, which the factory wrote to /serial.txt, is the DeviceName.
from aliyun_iot import device


def serial_number():
    with open("/serial.txt") as file:
        return file.read().strip()


def on_connect(session):
    print("online as", session.device_name)


device.run(on_connect, device_name=serial_number())
