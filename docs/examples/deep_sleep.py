# Wake up, post, sleep: a quarter of an hour on a battery.
import machine
from aliyun_iot import IotError
from aliyun_iot.device import Device

SLEEP = 15 * 60 * 1000  # ms
LONGER = 60 * 60 * 1000  # after an error that somebody has to mend
sleep = SLEEP
try:
    session = Device.open().connect()
    topic = session.topic("thing/event/property/post")
    session.publish(topic, '{"id":"1","params":{"t":21}}', qos=1)  # returns when it has arrived
    session.close()
except IotError as e:
    print(e)
    sleep = SLEEP if e.retry else LONGER
machine.deepsleep(sleep)
