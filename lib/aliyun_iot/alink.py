"""Requests about sub-devices and their replies, over a gateway's session.

Platform docs "Alink protocol". An answer that does not come, or asks to come back later, is asked
for again, three times in all, as long as the connection holds; then NetworkError, ProtocolError or
BusyError is raised. What comes meanwhile and is no reply stays in the session's inbox.
"""

import os
import time

from micropython import const

from . import subdevices as subs
from .errors import BusyError, NetworkError, ProtocolError, RefusedError, Retryable
from .log import log

# Below the limits of 30 messages and 200 logins a second (platform docs "Limits").
_REQUEST_MS = const(40)
_LOGIN_MS = const(6)
_KINDS = (b"sub", b"topo", b"list", b"proxy")


class Alink:
    """The conversation itself; see `gateway.Gateway` for what is said.

    session: a connected Session; the same one after each reconnect.
    """

    timeout = 10000  # milliseconds for the answer to a request
    tries = 3
    busy = 20000  # milliseconds until a request is made again that the platform was too busy for

    def __init__(self, session):
        self.session = session
        self.names = (session.product_key, session.device_name)
        self._number = int.from_bytes(os.urandom(4), "big")  # unlike what a reset left unanswered
        self._free = time.ticks_ms()
        self._thing = self._topic("thing/").encode()
        self._combine = self._topic("combine/").encode()

    def settle(self, ask, batch, size=30):
        """Ask for `size` at a time, then one by one what was refused or left out: dict of errors.

        ask: called with a list of sub-devices; gives a dict of those that failed to their error,
        None being one that the answer left out; raises RefusedError for all of them.
        """
        failed = {}
        groups = [batch[at : at + size] for at in range(0, len(batch), size)]
        while groups:
            group = groups.pop(0)
            try:
                parts = self.insist(ask, group)
            except RefusedError as e:
                parts = {names: e if len(group) == 1 else None for names in group}
            for names in parts:
                if parts[names] is None and len(group) > 1:
                    groups.append([names])
                else:
                    failed[names] = parts[names] or ProtocolError(
                        "{}/{}: left out of the answer".format(*names)
                    )
        return failed

    def insist(self, ask, group):
        """What ask(group) gives, asked up to three times."""
        left = self.tries
        while True:
            try:
                return ask(group)
            except Retryable as e:
                left -= 1
                if not left or not self.session.sock:
                    raise
                log("gateway: {}; asking again".format(e))
                if isinstance(e, BusyError):
                    self.hear(self.busy)

    def _topic(self, tail):
        if tail.startswith("combine"):
            return "/ext/session/{}/{}/{}".format(self.names[0], self.names[1], tail)
        return self.session.topic(tail)

    def ask(self, tail, batch, entries, opening="[", closing="]", read=subs.answer):
        """One request and its reply: the reply's data. Raises Retryable or RefusedError."""
        self._number = self._number + 1 & 0xFFFFFFFF
        number = str(self._number)
        session_topic = tail.startswith("combine")
        method = None if session_topic else tail.replace("/", ".")
        payload = subs.request(number, opening, entries, closing, method)
        topic = self._topic(tail)
        wait = time.ticks_diff(self._free, time.ticks_ms())
        if 0 < wait <= 1000:
            time.sleep_ms(wait)
        self.session.publish(topic, payload)
        cost = _LOGIN_MS * len(batch) if session_topic else 0
        self._free = time.ticks_add(time.ticks_ms(), max(_REQUEST_MS, cost))
        answer = self.hear(self.timeout, topic.encode() + b"_reply", number, read)
        if answer is None:
            raise NetworkError(tail + ": no answer in time")
        if answer["code"] != 200:
            raise subs.refusal(tail, answer["code"], batch)
        return answer.get("data")

    def hear(self, ms, topic=None, number=None, read=None):
        """Listen for `ms` milliseconds, or until the reply to request `number` is there: a dict.

        Replies to other requests, late or doubled, are dropped; what is the application's, and
        what the platform wants to say itself, goes back into the inbox.
        """
        session = self.session
        until = time.ticks_add(time.ticks_ms(), ms)
        kept = session.inbox
        session.inbox = []
        try:
            while True:
                left = time.ticks_diff(until, time.ticks_ms())
                message = session.wait(max(0, left))
                if message is None:
                    return None
                if not self.is_reply(message[0]):
                    kept.append(message)
                elif message[0] == topic:
                    answer = read(message[1], number)
                    if answer is not None:
                        return answer
                if left <= 0:
                    return None
        finally:
            kept.extend(session.inbox)
            session.inbox = kept

    def is_reply(self, topic):
        """Whether `topic`, bytes, is that of a reply to one of these requests."""
        if not topic.endswith(b"_reply"):
            return False
        if topic.startswith(self._thing):
            return topic[len(self._thing) :].split(b"/")[0] in _KINDS
        return topic.startswith(self._combine)
