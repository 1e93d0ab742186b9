"""The device certificates of a gateway's sub-devices, on flash.

Pages of 30: `/subdevices/00.json` and on, each a record of `store` (checked, written beside the
old one, read back, renamed) whose members are places: {"0": "ProductKey DeviceName DeviceSecret"}.
One registration batch fills one page, and a page of the longest names fits one 4,096-byte block.

Measured with 2,000 sub-devices on littlefs, registered 30 at a time, per sub-device: pages 0.7
programs, 0.04 erases and 8 kB read; 128 files by hash 7.8, 0.94 and 168 kB (each batch touches
nearly every file); a log of lines 1.1, 0.05 and 0.3 kB, but there a changed or removed secret asks
for a compaction of everything at once. Finding a sub-device reads on from the page of the last
find: the next page where the application keeps an order, all of them (435 kB) at the worst.
"""

import os

from micropython import const

from . import store
from .errors import StoreError
from .log import log

PAGE = const(30)
PAGES = const(67)  # 2,010 places: a gateway has at most 2,000 sub-devices (platform docs "Limits")


def _judge(record):
    if "check" not in record:
        return "no check"
    for place in record:
        if place != "check" and (not place.isdigit() or record[place].count(" ") != 2):
            return "not a page of certificates"
    return None


class Substore:
    """Reads and writes pages; keeps none of them in memory.

    A place (page * 30 + place in it, int) stays a sub-device's own until it is removed.
    """

    folder = "/subdevices"

    def __init__(self):
        self.pages = 0  # how many there are; any of them may be empty or damaged
        self._at = 0  # where something was found last
        try:
            for entry in os.ilistdir(self.folder):
                if entry[0][:2].isdigit():
                    self.pages = max(self.pages, int(entry[0][:2]) + 1)
        except OSError:
            pass  # there is no folder yet

    def _path(self, page):
        return "{}/{:02}.json".format(self.folder, page)

    def read(self, page):
        """The certificates of a page: dict of place in the page (str) to text.

        A page that is damaged counts as empty: its sub-devices will be registered again. Raises
        StoreError for one that cannot be read: it may be whole, and nothing must replace it.
        """
        record, wrong = store.load(self._path(page), _judge)
        if wrong == store.UNREADABLE:
            raise StoreError(
                "{}: {}; without it they register again".format(self._path(page), wrong)
            )
        if record is None:
            if wrong != "missing":
                log("{}: {}".format(self._path(page), wrong))
            return {}
        del record["check"]
        return record

    def page(self, page):
        """A page's certificates: dict of (ProductKey, DeviceName) to (place, DeviceSecret)."""
        record = self.read(page)
        found = {}
        for place in record:
            key, name, secret = record[place].split(" ")
            found[key, name] = (page * PAGE + int(place), secret)
        return found

    def __iter__(self):
        """All sub-devices stored, page by page: (ProductKey, DeviceName) each."""
        for page in range(self.pages):
            for names in self.page(page):
                yield names

    def find(self, batch):
        """The stored ones of `batch`: dict of (ProductKey, DeviceName) to (place, DeviceSecret).

        batch: a list of (ProductKey, DeviceName). Reads pages until all are found.
        """
        found = {}  # type: dict
        start = self._at
        for ahead in range(self.pages):
            if len(found) == len(batch):
                break
            page = (start + ahead) % self.pages
            stored = self.page(page)
            for names in batch:
                if names in stored:
                    found[names] = stored[names]
                    self._at = page
        return found

    def save(self, batch):
        """Store certificates durably: in a place of their own, or that of their older selves.

        batch: dict of (ProductKey, DeviceName) to DeviceSecret. Each page is written whole or not
        at all, and read back. Raises StoreError; pages written before are kept then.
        """
        known = self.find(list(batch))
        new = [names for names in batch if names not in known]
        for page in {place // PAGE for place, _ in known.values()}:
            changed = [names for names in known if known[names][0] // PAGE == page]
            record = self.read(page)
            for names in changed:
                record[str(known[names][0] % PAGE)] = _text(names, batch[names])
            self._write(page, record)
        # The last page with room, then new pages; once there can be no more, any with room.
        start = max(self.pages - 1, 0)
        for ahead in range(PAGES):
            if not new:
                return
            page = (start + ahead) % PAGES
            record = self.read(page)
            free = [place for place in range(PAGE) if str(place) not in record]
            if free:
                for place in free[: len(new)]:
                    names = new.pop(0)
                    record[str(place)] = _text(names, batch[names])
                self._write(page, record)
        if new:
            raise StoreError("{}: no room for more than {}".format(self.folder, PAGE * PAGES))

    def remove(self, batch):
        """Forget the certificates of `batch`, a list of (ProductKey, DeviceName)."""
        known = self.find(batch)
        for page in {place // PAGE for place, _ in known.values()}:
            record = self.read(page)
            for place, _ in known.values():
                if place // PAGE == page:
                    del record[str(place % PAGE)]
            self._write(page, record)

    def _write(self, page, record):
        try:
            os.mkdir(self.folder)
        except OSError:
            pass  # it is there; or the write that follows says what is wrong
        store.save(self._path(page), record)
        self.pages = max(self.pages, page + 1)


def _text(names, secret):
    return "{} {} {}".format(names[0], names[1], secret)
