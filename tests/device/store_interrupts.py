"""Raises an exception at every call that saving a record makes of the file system: what is left?

Before and after each call of open, write, close, read and rename; a write may also have been done
by half. Then a soft reset: the heap is swept, which commits what is still open. Given {"first":
bool}; the result is {"calls": n, "tried": n, "old": n, "new": n, "bad": [...]}.
"""

import builtins
import gc
import json
import os
import sys

from aliyun_iot import store
from ramflash import RamFlash, format_and_mount, mount

OLD = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "old" * 10}
NEW = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "new" * 10}
MOMENTS = ("before", "halfway", "after")
ERRORS = (KeyboardInterrupt, MemoryError, OSError)


class Calls:
    """Counts calls, and raises at number `at`."""

    def __init__(self, at=None, moment="before", error=None):
        self.count = 0
        self.at = at
        self.moment = moment
        self.error = error

    def __call__(self, function, *arguments):
        number = self.count
        self.count += 1
        if number != self.at:
            return function(*arguments)
        if self.moment == "halfway" and arguments and isinstance(arguments[0], bytes):
            function(arguments[0][: len(arguments[0]) // 2])
        elif self.moment == "after":
            function(*arguments)
        raise self.error(5)


class File:
    def __init__(self, calls, file):
        self.calls = calls
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.calls(self.file.close)

    def read(self):
        return self.calls(self.file.read)

    def write(self, data):
        return self.calls(self.file.write, data)


class FileSystem:
    """Stands where `store` looks for `os`."""

    def __init__(self, calls):
        self.calls = calls

    def rename(self, old, new):
        self.calls(os.rename, old, new)


def save(calls):
    store.open = lambda *arguments: File(calls, calls(builtins.open, *arguments))
    store.os = FileSystem(calls)
    try:
        store.save("/device.json", NEW)
    finally:
        store.open = builtins.open
        store.os = os


def main():
    with open(sys.argv[1]) as file:
        first = json.load(file)["first"]
    fresh = RamFlash()
    format_and_mount(fresh)
    if not first:
        store.save("/device.json", OLD)
    image = bytes(fresh.data)
    whole = Calls()
    save(whole)
    told = {"calls": whole.count, "tried": 0, "old": 0, "new": 0, "bad": []}
    for at in range(whole.count):
        for moment in MOMENTS:
            for error in ERRORS:
                flash = RamFlash(data=image)
                mount(flash)
                case = [at, moment, error.__name__]
                told["tried"] += 1
                try:
                    save(Calls(at, moment, error))
                    told["bad"].append(case + ["no exception"])
                except Exception as e:
                    if error is not OSError and not isinstance(e, error):
                        told["bad"].append(case + [repr(e)])
                except KeyboardInterrupt:
                    pass
                gc.collect()
                mount(flash)
                record, why = store.load("/device.json", lambda record: None)
                secret = record and record["deviceSecret"]
                if secret == NEW["deviceSecret"]:
                    told["new"] += 1
                elif secret == (None if first else OLD["deviceSecret"]):
                    told["old"] += 1
                else:
                    told["bad"].append(case + [why])
                store.save("/device.json", NEW)
                if store.load("/device.json", lambda record: None)[0] is None:
                    told["bad"].append(case + ["saving again failed"])
    print(json.dumps(told))


main()
