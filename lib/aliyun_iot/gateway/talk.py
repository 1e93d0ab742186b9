"""Requests about sub-devices and their replies, over a gateway's session.

Platform docs "Alink protocol". An answer that does not come, or asks to come back later, is asked
for again, three times in all, as long as the connection holds; then NetworkError, ProtocolError or
BusyError is raised.

Replies never reach the session's inbox: `Session.readers` hands them over as they come in.
"""

from micropython import const

from .. import gc, log, time
from ..errors import BusyError, NetworkError, ProtocolError, RefusedError, Retryable
from . import late
from .replies import Reply
from .requests import request

# Below the limits of 30 messages and 200 logins a second (platform docs "Limits").
_REQUEST_MS = const(40)
_LOGIN_MS = const(6)


class Talk:
    """The conversation itself. gateway: the Gateway, whose session and settings it goes by."""

    def __init__(self, gateway):
        self.gateway = gateway

    def settle(self, ask, batch, size):
        """Ask for `size` at a time, then one by one what was refused or left out: dict of errors.

        ask: called with a list of sub-devices; gives a dict of those that failed to their error,
        None being one that the answer left out; raises RefusedError for all of them.
        """
        failed = {}
        for at in range(0, len(batch), size):
            self._settle(ask, batch[at : at + size], failed)
        return failed

    def _settle(self, ask, group, failed):
        alone = len(group) == 1
        try:
            parts = self.insist(ask, group)
        except RefusedError as e:
            parts = {names: e if alone else None for names in group}
        for names in parts:
            if parts[names] is None and not alone:
                self._settle(ask, [names], failed)
            else:
                failed[names] = parts[names] or ProtocolError(
                    "{}/{}: left out of the answer".format(*names)
                )

    def insist(self, ask, group):
        """What ask(group) gives, asked up to `Gateway.tries` times."""
        left = self.gateway.tries
        while True:
            try:
                return ask(group)
            except Retryable as e:
                left -= 1
                if not left or not self.gateway.session.sock:
                    raise
                log("gateway: {}; asking again".format(e))
                if isinstance(e, BusyError):
                    self.pause(self.gateway.busy)

    def pause(self, ms):
        """Do nothing for `ms` milliseconds; the connection is kept alive."""
        self.gateway.session.until(bool, ms)  # which is never true

    def ask(self, tail, group, entries, opening="[", closing="]", entry=None):
        """One request and its reply: the reply's data, whose lists are empty; see `Reply`.

        group: whom it is for. entries, opening, closing: see `requests.request`.
        Raises Retryable or RefusedError.
        """
        gateway = self.gateway
        session = gateway.session
        if tail.startswith("combine"):
            topic = "/ext/session/{}/{}/{}".format(session.product_key, session.device_name, tail)
            method = None
            cost = max(_REQUEST_MS, _LOGIN_MS * len(group))
        else:
            topic = session.topic(tail)
            method = tail.replace("/", ".")
            cost = _REQUEST_MS
        gateway.number = gateway.number + 1 & 0xFFFFFFFF
        gc.collect()  # the request is the largest piece of memory that is wanted now
        payload = request(gateway.number, opening, entries, closing, method)
        wait = time.ticks_diff(gateway.free, time.ticks_ms())
        if 0 < wait <= 1000:
            time.sleep_ms(wait)
        reply = Reply(gateway.number, entry)
        replies = (topic + "_reply").encode()
        session.readers[replies] = reply.read
        try:
            session.publish(topic, payload)
            payload = None
            gateway.free = time.ticks_add(time.ticks_ms(), cost)
            left = -1
            while not reply.there() and reply.left != left:  # a long one may take its time
                left = reply.left
                session.until(reply.there, gateway.timeout)
        finally:
            reply.entry = None  # what comes of it now is too late
            session.readers[replies] = late
        if not reply.there():
            raise NetworkError(tail + ": no answer in time")
        if reply.code != 200:
            raise self.refusal(tail, reply.code, group)
        return reply.data

    def refusal(self, tail, code, group):
        """The exception for the platform's `code`, int; see `codes.refusal`."""
        from .codes import refusal

        return refusal(tail, code, group)
