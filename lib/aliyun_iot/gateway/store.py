"""The device certificates of a gateway's sub-devices, on flash.

Pages of 30, from `/subdevices/00.json` on. Each is a record like those of `records` (checked,
written beside the old one, read back, renamed) whose members are places:
{"0": "ProductKey DeviceName DeviceSecret"}. With the longest names a page fits one 4,096-byte
block. Pages are read and written without parsing them into objects: only the bytes of one page are
in memory. Writing is in `saving`.

Measured with 2,000 sub-devices on littlefs, registered 30 at a time, per sub-device: pages take
0.7 programs and 0.04 erases; 128 files by hash 7.8 and 0.94 (each batch touches nearly all of
them); a log of lines 1.1 and 0.05, but changing or removing a secret then compacts the whole log.
Six at a time, as the gateway registers them, write a page five times. The search for a sub-device
starts at the page of the last hit: if the application keeps its order, the next page has it; at
worst, all pages are read.
"""

from micropython import const

from .. import StoreError, binascii, errno, json, log, os, phase

_PAGE = const(30)


def in_order():
    """The places of a page in the order of their names, in which the check is calculated."""
    for digit in range(10):
        yield digit
        if 0 < digit * 10 < _PAGE:
            yield from range(digit * 10, digit * 10 + 10)


class Page:
    """A page's bytes, and the position in them of each place's text.

    Raises ValueError, IndexError or UnicodeError unless it is a complete page.
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
        """The position of the unescaped quotation mark that ends the text at `start`."""
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
        """The text at a place of the page: "ProductKey DeviceName DeviceSecret", or None."""
        start = self.at[at]
        return json.loads(self.data[start - 1 : self._end(start) + 1]) if start else None

    def index(self, names):
        """A sub-device's place in the page, or None."""
        if self.data is None:
            return None
        start = self.data.find(b'"%s ' % " ".join(names).encode()) + 1
        return self.at.index(start) if start else None


class Store:
    """Reads pages and keeps one of them in memory.

    A sub-device keeps its place (page * 30 + place in the page, int) until it is removed.
    """

    folder = "/subdevices"

    def __init__(self):
        self.pages = 0  # how many there are; any of them may be empty or damaged
        self._start = 0  # page of the last hit
        self.kept = None  # the page in memory
        self._number = -1  # its number
        self.successors = set()  # pages whose complete `.new` could not be renamed
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
        """The page at `path`, or None if it is missing or damaged. Raises OSError."""
        try:
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                file.seek(0)
                return Page(file.read(size))  # with a size, read() allocates only once
        except OSError as e:
            if e.args[0] != errno.ENOENT:
                raise
        except (ValueError, IndexError, UnicodeError):
            log(path + ": damaged, its sub-devices register again")
        return None

    def page(self, number):
        """A Page. A damaged one counts as empty, so its sub-devices register again.

        Raises StoreError if it cannot be read: it may be complete, and must not be replaced.
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
        """Drop the page in memory: it is about to change, or its heap is needed."""
        self.kept = None
        self._number = -1

    def at(self, at):
        """The sub-device at a place: (ProductKey, DeviceName, DeviceSecret), or None."""
        text = self.page(at // _PAGE).text(at % _PAGE)
        return text and tuple(text.split(" "))

    def find(self, batch):
        """Those of `batch` that are stored: dict of (ProductKey, DeviceName) to (place, secret).

        batch: a list of (ProductKey, DeviceName). Reads pages until all are found, up to
        `searched`: later pages were saved during this call, and a list without duplicates has none
        of their sub-devices still to come.
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
    """Continue the CRC-32 `number` with `text`, str."""
    return binascii.crc32(text.encode(), number)
