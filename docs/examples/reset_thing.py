# A new DeviceSecret when the operator, having called ResetThing, sends a message to user/register.
# (A device that was deleted and added again is refused, and `device.run` registers by itself.)
import time

from aliyun_iot import IotError
from aliyun_iot.device import Device

board = Device.open()


def serve(session):
    wanted = "/{}/{}/user/register".format(session.product_key, session.device_name)
    session.subscribe(wanted)
    print("online")
    while True:
        message = session.wait(60000)
        if message and message[0] == wanted.encode():
            board.rotate()  # the old one stays beside it until the new one has connected
            return


while True:
    try:
        serve(board.connect())
        wait = 12  # seconds: five connects a minute at the most
    except IotError as e:
        print(e)
        wait = 60 if e.retry else 600
    time.sleep(wait)
