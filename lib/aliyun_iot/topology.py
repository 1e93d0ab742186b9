"""Reads the answer to thing/topo/get, which may hold 2,000 sub-devices and 150 kB.

The session keeps no message as long as that. Here it is taken apart while it comes in: each object
in its list is handed on and forgotten, the rest is kept and read at the end.
"""

import json

from micropython import const

from .subdevices import answer, names_of

_MOST = const(1024)  # bytes of one object, and of everything outside of the list


class Reader:
    """topic: of the answer, bytes. each: called with (product_key, device_name)."""

    def __init__(self, topic, each):
        self.topic = topic
        self.each = each
        self._sock = None
        self._whole = False
        self._clear(True)

    def _clear(self, counting):
        self.count = 0
        self._error = None
        self._frame = bytearray()
        self._entry = None
        self._depth = 0
        self._text = self._escaped = False
        self._counting = counting

    def tap(self, sock):
        """Let pieces of an answer too long for `sock`, a wire.Stream, come here."""
        read = sock.read
        latest = b""

        def tapped(count):
            # umqtt reads the topic, a packet id or not, then the message.
            nonlocal latest
            if count <= sock.limit or latest != self.topic:
                data = read(count)
                if count > 2:
                    latest = data
                return data
            self._clear(True)
            while count:
                piece = read(min(count, 256))
                count -= len(piece)
                self._feed(piece)
            self._whole = True
            return b""

        if sock:
            self._sock = sock
            sock.read = tapped

    def untap(self):
        """Leave the stream as it was."""
        if self._sock:
            del self._sock.read
            self._sock = None

    def answer(self, payload, number):
        """As `subdevices.answer`. Raises what `each` raised."""
        if not self._whole:
            # Short enough to be looked at twice: is it the right one, and only then whose.
            self._clear(False)
            self._feed(payload)
            if answer(self._frame, number) is None:
                return None
            self._clear(True)
            self._feed(payload)
        self._whole = False
        if self._error:
            raise self._error
        return answer(self._frame, number)

    def _feed(self, piece):
        frame = self._frame
        for byte in piece:
            if self._text:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:  # backslash
                    self._escaped = True
                elif byte == 0x22:  # quotation mark
                    self._text = False
            elif byte == 0x22:
                self._text = True
            elif byte == 0x7B or byte == 0x5B:  # { or [
                self._depth += 1
                if self._depth == 3:
                    self._entry = bytearray()
            elif byte == 0x7D or byte == 0x5D:  # } or ]
                self._depth -= 1
                if self._depth == 2 and self._entry is not None:
                    self._entry.append(byte)
                    self._done(self._entry)
                    continue
            elif byte == 0x2C and self._depth == 2 and frame[-1:] == b"[":
                continue  # the comma between two objects
            target = frame if self._entry is None else self._entry
            if len(target) < _MOST:  # what is cut off is not JSON any more
                target.append(byte)

    def _done(self, entry):
        self._entry = None
        try:
            names = names_of(json.loads(entry))
        except ValueError:
            names = (None, None)
        if names[0] and self._counting and not self._error:
            self.count += 1
            try:
                self.each(names[0], names[1])
            # The application's own, whatever it is; raised again when the answer has been read.
            except Exception as e:
                self._error = e  # not from within the session: it would take it for its own
