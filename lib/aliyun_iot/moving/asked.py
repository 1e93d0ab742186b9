"""Handles the platform's notice to ask bootstrap again, and ends a session."""

from .. import NetworkError, log, phase
from .bootstrap import is_object, member


def reply(topic, payload):
    """The answer to a notice, topic and payload, both bytes; None if the notice asks for nothing.

    Like C SDK 4, takes `cmd` wherever it is in the text; 0 is the only known command.
    """
    if not is_object(payload) or member(payload, b"cmd") != b"0":
        return None
    number = member(payload, b"id") or b"0"
    if len(number) > 32 or b"\\" in number or min(number) < 32 or max(number) > 126:
        number = b"0"
    return topic + b"_reply", b'{"id":"' + number + b'","code":200,"data":{}}'


def take(device, payload):
    """Answer a notice, and end the session once the answer has been sent."""
    session = device.session
    topic = session.topic("thing/bootstrap/notify").encode()
    answer = reply(topic, payload)
    if not answer:
        session.inbox.append((topic, payload))  # for the application
        session._pids.append(b"")
        return
    topic, payload = answer
    # Queued with the acknowledgements, which are sent before anything else.
    head = session._begin(0x30, 2 + len(topic) + len(payload))
    session._acks = bytes(head) + len(topic).to_bytes(2, "big") + topic + payload
    phase("moving.told", device)
    log("told to ask bootstrap again")
    leave(session)


def leave(session):
    """End a connection after the next thing that is sent over it."""
    wire = session.sock
    send = wire.sending

    def last(data, rest=b"", timeout=10000):
        yield from send(data, rest, timeout)
        raise NetworkError("connecting elsewhere")

    wire.sending = last
