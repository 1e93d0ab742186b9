"""Raises an exception at every call that storing makes of the file system: what is left?

Before and after each call of open, write, close, read and rename; a write may also have been done
by half. Then a soft reset: the heap is swept, which commits what is still open. Given {"what":
"first", "replace" or "subdevices"}; the result is {"calls": n, "tried": n, "old": n, "new": n,
"part": n (some of the sub-devices' pages), "bad": [...]}.
"""

import builtins
import gc
import json
import os
import sys

from aliyun_iot import records
from aliyun_iot.gateway import saving, store
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
            try:
                function(*arguments)
            except OSError:
                pass  # a file that is not there: then this error comes in its place
        raise self.error(5)


class File:
    def __init__(self, calls, file):
        self.calls = calls
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.calls(self.file.close)

    def read(self, *size):
        return self.calls(self.file.read, *size)

    def readinto(self, buffer):
        return self.calls(self.file.readinto, buffer)

    def seek(self, *where):
        return self.file.seek(*where)

    def write(self, data):
        return self.calls(self.file.write, data.encode() if isinstance(data, str) else data)


class FileSystem:
    """Stands where `records` and `saving` look for `os`."""

    def __init__(self, calls):
        self.calls = calls

    def rename(self, old, new):
        self.calls(os.rename, old, new)

    def mkdir(self, path):
        os.mkdir(path)


class Record:
    """device.json, stored for the first time or in place of another."""

    def __init__(self, first):
        self.old = None if first else OLD
        if not first:
            records.save("/device.json", OLD)

    def save(self):
        records.save("/device.json", NEW)

    def judge(self):
        record, why = records.load("/device.json", lambda record: None)
        secret = record and record["deviceSecret"]
        if secret == NEW["deviceSecret"]:
            return "new"
        return "old" if secret == (self.old and self.old["deviceSecret"]) else why


class Subdevices:
    """20 sub-devices stored; then 5 of them get new secrets, and 15 come, onto a second page."""

    def __init__(self):
        self.old = self.made(range(20), "old")
        self.new = self.made(range(15, 35), "new")
        self.store(self.old)

    @staticmethod
    def made(numbers, secret):
        return {("pk", "unit%d" % number): secret * 10 for number in numbers}

    @staticmethod
    def store(batch):
        pages = store.Store()
        saving.save(pages, dict(batch), pages.find(list(batch)))

    def save(self):
        self.store(self.new)

    def judge(self):
        pages = store.Store()
        entries = [entry for entry in map(pages.at, range(pages.pages * 30)) if entry]
        stored = {entry[:2]: entry[2] for entry in entries}
        if len(stored) < len(entries):
            return "somebody is there twice"
        for names in self.old:
            if names not in stored:
                return names[1] + " is lost"
        for names in stored:
            if stored[names] not in (self.old.get(names), self.new.get(names)):
                return names[1] + " has a secret that nobody gave it"
        came = [n for n in self.new if n in stored and stored[n] == self.new[n]]
        return "old" if not came else "new" if len(came) == len(self.new) else "part"


def save(subject, calls):
    for module in (records, saving, store):
        module.open = lambda *arguments: File(calls, calls(builtins.open, *arguments))
    records.os = saving.os = FileSystem(calls)
    try:
        subject.save()
    finally:
        records.open = saving.open = store.open = builtins.open
        records.os = saving.os = os


def main():
    with open(sys.argv[1]) as file:
        what = json.load(file)["what"]
    fresh = RamFlash()
    format_and_mount(fresh)
    subject = Subdevices() if what == "subdevices" else Record(what == "first")
    image = bytes(fresh.data)
    whole = Calls()
    save(subject, whole)
    told = {"calls": whole.count, "tried": 0, "old": 0, "new": 0, "part": 0, "bad": []}
    for at in range(whole.count):
        for moment in MOMENTS:
            for error in ERRORS:
                flash = RamFlash(data=image)
                mount(flash)
                case = [at, moment, error.__name__]
                told["tried"] += 1
                done = False
                try:
                    save(subject, Calls(at, moment, error))
                    done = True
                except Exception as e:
                    if error is not OSError and not isinstance(e, error):
                        told["bad"].append(case + [repr(e)])
                except KeyboardInterrupt:
                    pass
                gc.collect()
                mount(flash)
                left = subject.judge()
                if left in ("old", "new", "part"):
                    told[left] += 1
                else:
                    told["bad"].append(case + [left])
                if done and left != "new":
                    told["bad"].append(case + ["no exception"])
                subject.save()
                if subject.judge() != "new":
                    told["bad"].append(case + ["saving again failed"])
    print(json.dumps(told))


main()
