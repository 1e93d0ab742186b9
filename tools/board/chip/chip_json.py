# part of the simulator, never copied to a board
"""`json` of releases before 1.26: a text that ends too early is taken for a whole one.

Their parser counts what is open inside of the outermost list or object, not that itself; commas
and colons are white space to it. So `{"a":1`, `{"a":1,`, `{"a":` and `[` are whole.
"""

import json as _json

dump = _json.dump
dumps = _json.dumps


def _mended(text):
    """The text with the bracket that these releases do not miss; the text itself if none is."""
    if not isinstance(text, str):
        text = str(bytes(text), "utf-8")
    opened = []
    inside = skip = False
    for letter in text:
        if skip:
            skip = False
        elif inside:
            skip = letter == "\\"
            inside = letter != '"'
        elif letter == '"':
            inside = True
        elif letter in "[{":
            opened.append("]" if letter == "[" else "}")
        elif letter in "]}":
            if not opened:
                return text
            opened.pop()
    if inside or len(opened) != 1:
        return text
    return text + opened[0]


def loads(text):
    return _json.loads(_mended(text))


def load(stream):
    return _json.loads(_mended(stream.read()))
