"""Requests about sub-devices and their replies, over a gateway's session.

Platform docs "Alink protocol". A request that gets no answer, or "busy", is sent up to three times
while the connection lasts; then NetworkError, ProtocolError or BusyError is raised.

Replies do not go to the session's inbox: `Session.readers` passes them on as they arrive. A reply
may list 2,000 sub-devices in 150 kB, so it is parsed piece by piece: each object in a list is
passed on and forgotten, and only the rest is kept until the end.
"""

from micropython import const

from .. import (
    BusyError,
    NetworkError,
    ProtocolError,
    RefusedError,
    Retryable,
    gc,
    json,
    log,
    phase,
    time,
)
from . import drop
from .store import Store

# Below the limits of 30 messages and 200 logins a second (platform docs "Limits").
_REQUEST_MS = const(40)
_LOGIN_MS = const(6)
_PIECE = const(1024)  # bytes of one object of a reply, and of everything outside of its lists
_DEEP = const(30)
_OFTEN = const(1024)  # bytes between garbage collections: leaves fewer holes in the heap


def begin(gateway, what, args):
    """Call `what`, "module.function" of the package, with a Talk and `args`: its result."""
    gateway.talk = Talk(gateway)
    threshold = gc.threshold()
    gc.threshold(_OFTEN)
    try:
        return phase(what, gateway.talk, *args)
    finally:
        gc.threshold(threshold)
        gateway.talk = None


class Talk:
    """Requests and replies during one call. gateway: the Gateway whose session it uses."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.store = Store()

    def settle(self, ask, batch, size, failed=None):
        """Ask for `size` at a time, and one by one if refused or left out: dict of errors.

        ask: called with a list of sub-devices; returns a dict of those that failed to their error,
        or to None if the answer left them out. Raises RefusedError if all were refused.
        """
        failed = {} if failed is None else failed
        for at in range(0, len(batch), size):
            part = batch[at : at + size]
            error = None
            try:
                wrong = self.insist(ask, part)
            except RefusedError as e:
                wrong = part
                error = e
            for names in wrong:
                if len(part) > 1 and (error or not wrong[names]):
                    self.settle(ask, [names], 1, failed)
                else:
                    failed[names] = (
                        error
                        or wrong[names]
                        or ProtocolError("{}/{}: left out of the answer".format(*names))
                    )
        return failed

    def insist(self, ask, batch):
        """Call ask(batch), up to `Gateway.tries` times: its result."""
        left = self.gateway.tries
        while True:
            try:
                return ask(batch)
            except Retryable as e:
                left -= 1
                if not left or not self.gateway.session.sock:
                    raise
                log("gateway: {}; asking again".format(e))
                if isinstance(e, BusyError):
                    self.until(bool, self.gateway.busy)  # never true

    def until(self, done, ms):
        """Receive until done() is true, or for `ms` milliseconds.

        Keeps the connection alive. Messages without a reader stay in the session's inbox.
        """
        session = self.gateway.session
        session.run(session.waiting(ms, done))

    def ask(self, tail, batch, entries, body="[|]", each=None):
        """Send a request and wait for its reply: the reply's data, lists emptied; see `receive`.

        batch: the sub-devices that it is for. entries, body: see `request`.
        Raises Retryable or RefusedError.
        """
        gateway = self.gateway
        session = gateway.session
        if tail[0] == "c":  # combine/...
            topic = "/ext/session/{}/{}/{}".format(session.product_key, session.device_name, tail)
            method = None
            cost = max(_REQUEST_MS, _LOGIN_MS * len(batch))
        else:
            topic = session.topic(tail)
            method = tail.replace("/", ".")
            cost = _REQUEST_MS
        gateway.number = gateway.number + 1 & 0xFFFFFFFF
        gc.collect()  # the request is the largest block needed now
        payload = request(gateway.number, entries, body, method)
        wait = time.ticks_diff(gateway.due, time.ticks_ms())
        if 0 < wait <= 1000:
            time.sleep_ms(wait)
        answer = [0]
        reply = receive(str(gateway.number), each, answer)
        next(reply)
        replies = topic.encode() + b"_reply"
        session.readers[replies] = lambda piece, left: reply and reply.send((piece, left))
        try:
            gc.collect()  # frees what it was built from, for TLS
            session.publish(topic, payload)
            payload = None
            gateway.due = time.ticks_add(time.ticks_ms(), cost)
            left = -1
            while len(answer) == 1 and answer[0] != left:  # as long as a long one progresses
                left = answer[0]
                self.until(lambda: len(answer) > 1, gateway.timeout)
        finally:
            reply = None  # but the rest of a message may still arrive
            session.readers[replies] = drop
        if len(answer) == 1:
            raise NetworkError(tail + ": no answer in time")
        if answer[1] != 200:
            raise phase("gateway.codes.refusal", tail, answer[1], batch)
        return answer[2]


def batches(subdevices, size):
    """Split an iterable of sub-devices into lists of at most `size`."""
    batch = []
    for names in subdevices:
        batch.append(names)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def report(batch, failed, each):
    """Report a batch to the application: None, or the first error if there is no `each`."""
    for names in batch:
        error = failed.get(names)
        if each:
            each(names[0], names[1], error)
        elif error:
            return error
    return None


def request(number, entries, body, method):
    """An Alink request: bytearray, compact JSON in the specification's order of fields.

    number: its id. entries: a sequence or generator of JSON texts. body: the value of `params`,
    str, in which | stands for the entries. method: None leaves out version and method, as for
    requests on /ext/session. Nothing needs escaping: the names have been checked.
    """
    opening, rest = body.split("|")
    text = '{{"id":"{}",{}"params":{}'
    out = bytearray(text.format(number, '"version":"1.0",' if method else "", opening).encode())
    mark = ""
    for entry in entries:
        out.extend(mark.encode())
        out.extend(entry.encode())
        mark = ","
    out.extend(rest.encode())
    out.extend(',"method":"{}"}}'.format(method).encode() if method else b"}")
    return out


def receive(number, each, answer):
    """Parse messages on a reply's topic until the reply to request `number`, a str, has arrived.

    A generator that is sent (piece, bytes still to come), see `Session._deliver`. each: called
    with each object in a list of the reply, a dict; and with None when a message begins, as what
    came before belongs to another one. answer: a list; its first item is the number of bytes still
    to come, and at the end the platform's code, int, and the reply's `data` with its lists emptied
    are appended.
    """
    piece, left = yield
    twice = 0
    while True:
        # A message in one piece is parsed twice: `each` is only called once the id has matched.
        twice = each and not left and not twice
        tell = None if twice else each
        if tell:
            tell(None)
        frame = bytearray()
        item = None  # type: bytearray | None  # the object in a list that is arriving
        outside = 0  # its depth
        depth = lists = 0  # lists: a bit for each open bracket, whether it is a list
        quoted = escaped = spoilt = False
        while True:
            for byte in piece:
                if quoted:
                    if escaped:
                        escaped = False
                    elif byte == 0x5C:  # backslash
                        escaped = True
                    elif byte == 0x22:  # quotation mark
                        quoted = False
                elif byte == 0x22:
                    quoted = True
                elif byte == 0x7B or byte == 0x5B:  # { or [
                    if item is None and byte == 0x7B and lists & 1:
                        item = bytearray()
                        outside = depth
                    depth += 1
                    lists = lists << 1 | (byte == 0x5B)
                elif byte == 0x7D or byte == 0x5D:  # } or ]
                    depth -= 1
                    lists >>= 1
                    if item is not None and depth == outside:
                        item.append(byte)
                        if tell and len(item) < _PIECE:  # a longer one was cut off
                            try:
                                tell(json.loads(bytes(item)))
                            except (ValueError, UnicodeError):
                                pass  # not an object
                        item = None
                        continue
                elif item is None:
                    if byte <= 0x20:
                        continue
                    if byte == 0x2C and lists & 1 and frame[-1] == 0x5B:
                        continue  # the comma between two objects
                into = frame if item is None else item
                if len(into) < _PIECE:
                    into.append(byte)
                elif item is None:
                    spoilt = True
                if spoilt or not 0 <= depth < _DEEP:
                    spoilt = True
                    break
            answer[0] = left
            if not left:
                break
            piece, left = yield
        # Checked, as before MicroPython 1.26 json.loads accepts truncated text.
        if not (spoilt or depth or quoted):
            try:
                reply = json.loads(bytes(frame))
                if str(reply["id"]) == number:
                    code = int(reply["code"])  # one sample in the documentation has it as text
                    if not twice:
                        answer.extend((code, reply.get("data")))
                        break
                    continue
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError):
                pass
        twice = 0
        piece, left = yield
    reply = frame = each = tell = None  # type: ignore[assignment]
    while True:
        yield  # a duplicate
