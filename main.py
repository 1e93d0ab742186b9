# The application: put your own into the two functions.
import sys

from aliyun_iot import ConfigError, device


def on_connect(session):
    session.publish(
        session.topic("thing/event/property/post"),
        '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"boots":1}}',
    )


def on_message(session, topic, payload):
    print("message on", topic.decode(), payload)  # bytes: not all that comes is text


try:
    device.run(on_connect, on_message)
except ConfigError as e:
    print("stopped:", e)  # a person must mend a file: the REPL is theirs
# Whatever it is, the application's own mistakes too: a board in the field starts anew.
except Exception as e:
    import time

    import machine

    sys.print_exception(e)
    time.sleep(20)  # a crash at every start must not connect more than five times a minute
    machine.reset()
