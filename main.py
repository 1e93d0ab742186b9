# The application. Put your own code into the two functions.
import sys

from aliyun_iot import ConfigError, device


def on_connect(session):
    session.publish(
        session.topic("thing/event/property/post"),
        '{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"boots":1}}',
    )


def on_message(session, topic, payload):
    print("message on", topic.decode(), payload)  # bytes: not every payload is text


try:
    device.run(on_connect, on_message)
except ConfigError as e:
    print("stopped:", e)  # a file must be fixed by hand: leave the REPL open
# Any error, even one of the application's own: a board in the field starts over.
except Exception as e:
    import time

    import machine

    sys.print_exception(e)
    time.sleep(20)  # a crash loop must not exceed the limit of five connects a minute
    machine.reset()
