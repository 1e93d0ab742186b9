"""Requests about sub-devices and their replies, over a gateway's session.

Platform docs "Alink protocol". An answer that does not come, or asks to come back later, is asked
for again, three times in all, as long as the connection holds; then NetworkError, ProtocolError or
BusyError is raised.

Replies never reach the session's inbox: `Session.readers` hands them over as they come in. One may
list 2,000 sub-devices in 150 kB, and that to ten registrations is 2 kB: it is taken apart as its
pieces come. Each object in a list is handed on and forgotten, the rest is kept for the end.
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
_OFTEN = const(1024)  # bytes; collect this often: fewer holes between what stays


def begin(gateway, what, args):
    """Do `what`, a function of this package, with the conversation it needs, and `args`."""
    gateway.talk = Talk(gateway)
    threshold = gc.threshold()
    gc.threshold(_OFTEN)
    try:
        return phase(what, gateway.talk, *args)
    finally:
        gc.threshold(threshold)
        gateway.talk = None


class Talk:
    """The conversation itself. gateway: the Gateway, whose session and settings it goes by."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.store = Store()

    def settle(self, ask, batch, size, failed=None):
        """Ask for `size` at a time, then one by one what was refused or left out: dict of errors.

        ask: called with a list of sub-devices; gives a dict of those that failed to their error,
        None being one that the answer left out; raises RefusedError for all of them.
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
        """What ask(batch) gives, asked up to `Gateway.tries` times."""
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
        """Take in what comes until done() is true, or for `ms` milliseconds.

        Keeps the connection alive. What has no reader stays in the session's inbox.
        """
        session = self.gateway.session
        session.run(session.waiting(ms, done))

    def ask(self, tail, batch, entries, body="[|]", each=None):
        """One request and its reply: the reply's data, whose lists are empty; see `receive`.

        batch: whom it is for. entries, body: see `request`.
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
        gc.collect()  # the request is the largest piece of memory that is wanted now
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
            gc.collect()  # what it was built of makes room for TLS
            session.publish(topic, payload)
            payload = None
            gateway.due = time.ticks_add(time.ticks_ms(), cost)
            left = -1
            while len(answer) == 1 and answer[0] != left:  # a long one may take its time
                left = answer[0]
                self.until(lambda: len(answer) > 1, gateway.timeout)
        finally:
            reply = None  # the session may yet have the rest of a message for it
            session.readers[replies] = drop
        if len(answer) == 1:
            raise NetworkError(tail + ": no answer in time")
        if answer[1] != 200:
            raise phase("gateway.codes.refusal", tail, answer[1], batch)
        return answer[2]


def batches(subdevices, size):
    """Cut what `subdevices` gives into lists of at most `size`."""
    batch = []
    for names in subdevices:
        batch.append(names)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def report(batch, failed, each):
    """Tell the application of a batch: None, or the first error if there is no `each`."""
    for names in batch:
        error = failed.get(names)
        if each:
            each(names[0], names[1], error)
        elif error:
            return error
    return None


def request(number, entries, body, method):
    """An Alink request: bytearray, compact JSON in the specification's order of fields.

    number: its id. entries: a sequence or generator of JSON texts. body: what `params` is, str,
    its | standing for the entries. method: None leaves out version and method, as requests on
    /ext/session do. Nothing needs escaping: names keep to the platform's rules.
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
    """Read what comes on a reply's topic until it is the reply to request `number`, a str.

    A generator, which is sent (piece, bytes still to come), see `Session.readers`. each: called
    with each object in a list of the reply, a dict, and with None when a message begins: what
    came before belongs to another one. answer: gets bytes still to come, and in the end the
    platform's code, int, and the reply's `data`, whose lists are empty.
    """
    piece, left = yield
    twice = 0
    while True:
        # Short enough to be looked at twice: is it the right one, and only then whose.
        twice = each and not left and not twice
        tell = None if twice else each
        if tell:
            tell(None)
        frame = bytearray()
        item = None  # type: bytearray | None  # the object in a list that is coming in
        outside = 0  # depth at which it lies
        depth = lists = 0  # lists: of each bracket that is open, whether it is a list
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
                                pass  # no object at all
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
        # Whole: json.loads would take a text that is cut off, before MicroPython 1.26.
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
        yield  # it came twice
