"""The platform's replies about sub-devices, read while they come in. Pure.

A reply may list 2,000 sub-devices in 150 kB, and one to ten registrations is 2 kB: it is taken
apart as its pieces come. Each object in a list is handed on and forgotten, the rest is kept and
read at the end.
"""

from micropython import const

from .. import json
from ..records import is_device_name, is_product_key

_MOST = const(1024)  # bytes of one object, and of everything outside of the lists
_DEEP = const(30)


def names_of(entry):
    """The sub-device that an object of the platform's names, or (None, None)."""
    try:
        names = (entry["productKey"], entry["deviceName"])
    except (KeyError, TypeError):
        return (None, None)
    return names if is_product_key(names[0]) and is_device_name(names[1]) else (None, None)


class Reply:
    """The reply to one request, out of all messages on its topic; see `Session.readers`.

    number: the request's id. entry: called with each object in a list of the reply, a dict, and
    with None when a message begins: what came before belongs to another one.
    """

    def __init__(self, number, entry=None):
        self.number = str(number)
        self.entry = entry
        self.code = None  # the platform's result, int, when it is there
        self.data = None  # the reply's `data`, its lists empty
        self.left = 0  # bytes still to come of a message
        self._begin()

    def _begin(self):
        self._frame = bytearray()
        self._object = None  # the object in a list that is coming in
        self._outside = 0  # depth at which it lies
        self._depth = 0
        self._lists = 0  # of each bracket that is open, the innermost last: whether it is a list
        self._quoted = self._escaped = self._spoilt = False

    def there(self):
        """Whether the reply has come: bool."""
        return self.code is not None

    def read(self, piece, left):
        """Take in a piece of a message on the reply's topic; left: bytes still to come."""
        if self.there():
            return  # it came twice
        entry = self.entry
        if not self.left:
            if entry and not left:
                # Short enough to be looked at twice: is it the right one, and only then whose.
                self.entry = None
                self._begin()
                self._take(piece)
                self.entry = entry
                if not self._read():
                    return
                self.code = None
            self._begin()
            if entry:
                entry(None)
        self.left = left
        self._take(piece)
        if not left:
            self._read()

    def _read(self):
        if self._spoilt or self._depth or self._quoted:
            return False  # json.loads would take a text that is cut off, before MicroPython 1.26
        try:
            frame = json.loads(self._frame)
            if str(frame["id"]) != self.number:
                return False
            code = int(frame["code"])  # one sample in the documentation has it as text
            self.data = frame.get("data")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError):
            return False
        self.code = code
        return True

    def _take(self, piece):
        for byte in piece:
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:  # backslash
                    self._escaped = True
                elif byte == 0x22:  # quotation mark
                    self._quoted = False
            elif byte == 0x22:
                self._quoted = True
            elif byte == 0x7B or byte == 0x5B:  # { or [
                if self._object is None and byte == 0x7B and self._lists & 1:
                    self._object = bytearray()
                    self._outside = self._depth
                self._depth += 1
                self._lists = self._lists << 1 | (byte == 0x5B)
                if self._depth > _DEEP:
                    self._spoilt = True
            elif byte == 0x7D or byte == 0x5D:  # } or ]
                self._depth -= 1
                self._lists >>= 1
                if self._object is not None and self._depth == self._outside:
                    self._object.append(byte)
                    self._done()
                    continue
            elif self._object is None:
                if byte <= 0x20:
                    continue
                if byte == 0x2C and self._lists & 1 and self._frame[-1] == 0x5B:
                    continue  # the comma between two objects
            if self._spoilt:
                return
            into = self._frame if self._object is None else self._object
            if len(into) < _MOST:
                into.append(byte)
            elif self._object is None:
                self._spoilt = True

    def _done(self):
        data = self._object
        self._object = None
        if self.entry and len(data) < _MOST:  # a longer one was cut off
            try:
                self.entry(json.loads(data))
            except (ValueError, UnicodeError):
                pass  # no object at all
