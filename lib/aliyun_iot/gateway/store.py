"""The device certificates of a gateway's sub-devices, on flash.

Pages of 30: `/subdevices/00.json` and on, each a record as those of `records` (checked, written
beside the old one, read back, renamed) whose members are places:
{"0": "ProductKey DeviceName DeviceSecret"}. A page of the longest names fits one 4,096-byte block.
A page is read and written without becoming objects: only the bytes of one are in memory. Writing
is in `saving`.

Measured with 2,000 sub-devices on littlefs, registered 30 at a time, per sub-device: pages 0.7
programs and 0.04 erases; 128 files by hash 7.8 and 0.94 (each batch touches nearly every file); a
log of lines 1.1 and 0.05, but there a changed or removed secret asks for a compaction of
everything at once. Ten at a time, as the gateway does, write a page three times. Finding a
sub-device reads on from the page of the last find: the next page where the application keeps an
order, all of them at the worst.
"""

from micropython import const

from .. import StoreError, binascii, errno, json, log, os, phase

_PAGE = const(30)


def in_order():
    """The places of a page in the order of their names, which the check goes by."""
    for digit in range(10):
        yield digit
        if 0 < digit * 10 < _PAGE:
            yield from range(digit * 10, digit * 10 + 10)


class Page:
    """A page's bytes, and where in them each place's text begins.

    Raises ValueError, IndexError or UnicodeError for what is no whole page.
    """

    def __init__(self, data=None):
        self.at = [0] * _PAGE
        self.data = data
        if data is None:
            return  # an empty page
        check = None
        at = data.find(b'"')
        while at >= 0:
            end = data.find(b'"', at + 1)
            start = data.find(b'"', end + 1) + 1
            stop = self._end(start)
            if data[at + 1 : end] == b"check":
                check = data[start:stop]
            else:
                self.at[int(data[at + 1 : end])] = start
            at = data.find(b'"', stop + 1)
        crc = 0
        for place in in_order():
            text = self.text(place)
            if text:
                if text.count(" ") != 2:
                    raise ValueError
                crc = add(crc, str(place) + text)
        if check != b"%08x" % crc:
            raise ValueError

    def _end(self, start):
        """Where the text that begins at `start` ends: at a quotation mark that is not escaped."""
        data = self.data
        stop = data.find(b'"', start)
        while start and stop >= start:
            before = stop - 1
            while data[before] == 0x5C:
                before -= 1
            if stop - before & 1:
                return stop
            stop = data.find(b'"', stop + 1)
        raise ValueError

    def text(self, at):
        """What is at a place of the page: "ProductKey DeviceName DeviceSecret", or None."""
        start = self.at[at]
        return json.loads(self.data[start - 1 : self._end(start) + 1]) if start else None

    def index(self, names):
        """Where a sub-device is: its place in the page, or None."""
        if self.data is None:
            return None
        start = self.data.find(b'"%s ' % " ".join(names).encode()) + 1
        return self.at.index(start) if start else None


class Store:
    """Reads pages; keeps one of them in memory.

    A place (page * 30 + place in it, int) stays a sub-device's own until it is removed.
    """

    folder = "/subdevices"

    def __init__(self):
        self.pages = 0  # how many there are; any of them may be empty or damaged
        self._start = 0  # where something was found last
        self.kept = None
        self._number = -1  # of that page
        self.successors = set()  # pages whose successor, complete, could not take their place
        try:
            for entry in os.ilistdir(self.folder):
                if entry[0][:2].isdigit():
                    self.pages = max(self.pages, int(entry[0][:2]) + 1)
                    if entry[0].endswith(".new"):
                        self.successors.add(int(entry[0][:2]))
        except OSError:
            pass  # there is no folder yet
        self.searched = self.pages  # see `find`
        if self.successors:
            phase("gateway.saving.restore", self)

    def path(self, number):
        """The file of a page."""
        return "{}/{:02}.json".format(self.folder, number)

    def load(self, path):
        """The page at `path`, or None where there is none, or a damaged one. Raises OSError."""
        try:
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                file.seek(0)
                return Page(file.read(size))  # in one piece of that size
        except OSError as e:
            if e.args[0] != errno.ENOENT:
                raise
        except (ValueError, IndexError, UnicodeError):
            log(path + ": damaged, its sub-devices register again")
        return None

    def page(self, number):
        """A Page. One that is damaged counts as empty: its sub-devices will register again.

        Raises StoreError for one that cannot be read: it may be whole, and nothing must replace
        it.
        """
        if self._number != number:
            self.close()
            path = self.path(number) + (".new" if number in self.successors else "")
            try:
                self.kept = self.load(path) or Page()
            except OSError:
                raise StoreError(path + ": cannot be read; without it they register again")
            self._number = number
        return self.kept

    def close(self):
        """Forget the page in memory: it is about to change, or its room is wanted."""
        self.kept = None
        self._number = -1

    def at(self, at):
        """Who is at a place: (ProductKey, DeviceName, DeviceSecret), or None."""
        text = self.page(at // _PAGE).text(at % _PAGE)
        return text and tuple(text.split(" "))

    def find(self, batch):
        """The stored ones of `batch`: dict of (ProductKey, DeviceName) to (place, DeviceSecret).

        batch: a list of (ProductKey, DeviceName). Reads pages until all are found. Those beyond
        `searched` hold what was saved meanwhile: a list without doubles has nobody in them.
        """
        found = {}  # type: dict
        start = self._start
        count = min(self.searched, self.pages)
        for ahead in range(count):
            if len(found) == len(batch):
                break
            number = (start + ahead) % count
            page = self.page(number)
            for names in batch:
                place = page.index(names)
                if place is not None and names not in found:
                    found[names] = (number * _PAGE + place, page.text(place).split(" ")[2])
                    self._start = number
        return found


def add(number, text):
    """CRC-32 of what `number` is of, and `text`, str, behind it."""
    return binascii.crc32(text.encode(), number)
