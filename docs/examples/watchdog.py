# A board that hangs, in the application too, is reset after two minutes.
import machine
from aliyun_iot import device

TIMEOUT = 120_000  # ms; the longest step of a try to connect must fit in


def on_connect(session):
    print("online, after reset cause", machine.reset_cause())


def on_message(session, topic, payload):
    print("message on", topic.decode(), payload)


watchdog = machine.WDT(timeout=TIMEOUT)
device.run(on_connect, on_message, feed=watchdog.feed)
