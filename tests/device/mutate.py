"""Seeded mutations of byte strings, and the frame that feeds them to a parser and counts."""

import gc
import json
import random
import sys

from aliyun_iot.errors import IotError

_CHECK = 2000  # cases between two looks at the heap


class Hang(BaseException):
    """The parser goes on reading what has long ended."""


def _number(count):
    return random.getrandbits(16) % count


def _once(data, corpus):
    kind = _number(9)
    at = _number(len(data) + 1)
    if kind == 0:  # a flipped bit
        at %= max(1, len(data))
        return data[:at] + bytes([data[at] ^ 1 << _number(8)]) + data[at + 1 :] if data else data
    if kind == 1:  # a random byte
        return data[:at] + bytes([_number(256)]) + data[at + 1 :]
    if kind == 2:  # one more
        return data[:at] + bytes([_number(256)]) + data[at:]
    if kind == 3:  # some less
        return data[:at] + data[at + 1 + _number(8) :]
    if kind == 4:  # the end is missing
        return data[:at]
    if kind == 5:  # a piece twice
        return data[:at] + data[max(0, at - _number(40)) :]
    if kind == 6:  # the end of another
        other = corpus[_number(len(corpus))]
        return data[:at] + other[_number(len(other) + 1) :]
    if kind == 7:  # an extreme
        extreme = (b"\xff\xff", b"\0\0", b"-1", b"99999999", b"\x7f", b"\r\n", b"{", b"[", b'"')
        return data[:at] + extreme[_number(len(extreme))] + data[at:]
    return data[:at] + bytes([data[at - 1] if at else 0]) * _number(300) + data[at:]


def mutated(corpus):
    """One of `corpus`, mutated one to four times: bytes."""
    data = corpus[_number(len(corpus))]
    for _ in range(1 + _number(4)):
        data = _once(data, corpus)
    return data


def run(corpus, parse):
    """Feed mutated bytes to `parse(data)` and print what came of it, as JSON.

    The script's arguments are a file with {"seed": n, "cases": n}. Only the package's own
    exceptions may come out. Heap is compared every 2,000 cases, garbage collected.
    """
    with open(sys.argv[1]) as file:
        given = json.load(file)
    random.seed(given["seed"])
    outcomes = {}
    defects = []
    heap = None
    grown = 0
    for case in range(given["cases"]):
        data = mutated(corpus)
        try:
            outcome = parse(data) or "accepted"
        except IotError as e:
            outcome = type(e).__name__
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            outcome = "DEFECT " + type(e).__name__
            if len(defects) < 10:
                defects.append([case, outcome, str(e), data[:400].hex()])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if case % _CHECK == _CHECK - 1:
            data = outcome = None
            gc.collect()
            if heap is None:
                heap = gc.mem_alloc()
            grown = gc.mem_alloc() - heap
    print(json.dumps({"outcomes": outcomes, "defects": defects, "grown": grown}))
