"""The device certificates of a gateway's sub-devices, on flash.

Pages of 30: `/subdevices/00.json` and on, each a record as those of `records` (checked, written
beside the old one, read back, renamed) whose members are places:
{"0": "ProductKey DeviceName DeviceSecret"}. A page of the longest names fits one 4,096-byte block.
A page is read and written without becoming objects: only the bytes of one are in memory.

Measured with 2,000 sub-devices on littlefs, registered 30 at a time, per sub-device: pages 0.7
programs and 0.04 erases; 128 files by hash 7.8 and 0.94 (each batch touches nearly every file); a
log of lines 1.1 and 0.05, but there a changed or removed secret asks for a compaction of
everything at once. Ten at a time, as the gateway does, write a page three times. Finding a
sub-device reads on from the page of the last find: the next page where the application keeps an
order, all of them at the worst.
"""

from micropython import const

from .. import binascii, errno, json, log, os
from ..errors import StoreError

PAGE = const(30)
PAGES = const(67)  # 2,010 places: a gateway has at most 2,000 sub-devices (platform docs "Limits")
_NEW = ".new"


def _places():
    """The places of a page in the order of their names, which the check goes by."""
    for digit in range(10):
        yield digit
        if 0 < digit * 10 < PAGE:
            yield from range(digit * 10, digit * 10 + 10)


class Page:
    """A page's bytes, and where in them each place's text begins.

    Raises ValueError, IndexError or UnicodeError for what is no whole page.
    """

    def __init__(self, data=None):
        self.at = [0] * PAGE
        self._data = data
        if data is None:
            return  # an empty page
        check = None
        at = data.find(b'"')
        while at >= 0:
            end = data.find(b'"', at + 1)
            start = data.find(b'"', end + 1) + 1
            stop = self._stop(start)
            if data[at + 1 : end] == b"check":
                check = data[start:stop]
            else:
                self.at[int(data[at + 1 : end])] = start
            at = data.find(b'"', stop + 1)
        crc = 0
        for place in _places():
            text = self.text(place)
            if text:
                if text.count(" ") != 2:
                    raise ValueError
                crc = _add(crc, str(place) + text)
        if check != _hex(crc).encode():
            raise ValueError

    def _stop(self, start):
        """Where the text that begins at `start` ends: at a quotation mark that is not escaped."""
        data = self._data
        stop = data.find(b'"', start)
        while start and stop >= start:
            before = stop - 1
            while data[before] == 0x5C:
                before -= 1
            if stop - before & 1:
                return stop
            stop = data.find(b'"', stop + 1)
        raise ValueError

    def text(self, place):
        """What is at a place of the page: "ProductKey DeviceName DeviceSecret", or None."""
        start = self.at[place]
        return json.loads(self._data[start - 1 : self._stop(start) + 1]) if start else None

    def place(self, names):
        """Where a sub-device is: its place in the page, or None."""
        if self._data is None:
            return None
        start = self._data.find('"{} {} '.format(*names).encode()) + 1
        return self.at.index(start) if start else None


class Store:
    """Reads and writes pages; keeps one of them in memory.

    A place (page * 30 + place in it, int) stays a sub-device's own until it is removed.
    """

    folder = "/subdevices"

    def __init__(self):
        self.pages = 0  # how many there are; any of them may be empty or damaged
        self._at = 0  # where something was found last
        self._page = None
        self._number = -1  # of that page
        whole = []
        try:
            for entry in os.ilistdir(self.folder):
                if entry[0][:2].isdigit():
                    self.pages = max(self.pages, int(entry[0][:2]) + 1)
                    if entry[0].endswith(_NEW):
                        whole.append(int(entry[0][:2]))
        except OSError:
            pass  # there is no folder yet
        self.searched = self.pages  # see `find`
        self._next = set()  # of pages whose successor could not take their place
        for number in whole:
            self._adopt(number)

    def _adopt(self, number):
        """Make up for a rename that a power cut kept from happening; see `records.load`."""
        path = self._path(number)
        try:
            if self._load(path + _NEW):
                self._next.add(number)
                os.rename(path + _NEW, path)
                self._next.remove(number)
        except OSError:
            pass  # a flash that cannot be written can still be read: go on with what it holds

    def _path(self, number):
        return "{}/{:02}.json".format(self.folder, number)

    def _load(self, path):
        """The page at `path`, or None where there is none, or a damaged one. Raises OSError."""
        try:
            with open(path, "rb") as file:
                return Page(file.read())
        except OSError as e:
            if e.args[0] != errno.ENOENT:
                raise
        except (ValueError, IndexError, UnicodeError):
            log(path + ": damaged")
        return None

    def page(self, number):
        """A Page. One that is damaged counts as empty: its sub-devices will register again.

        Raises StoreError for one that cannot be read: it may be whole, and nothing must replace
        it.
        """
        if self._number != number:
            self._page = None
            self._number = -1
            path = self._path(number) + (_NEW if number in self._next else "")
            try:
                self._page = self._load(path) or Page()
            except OSError:
                raise StoreError(path + ": cannot be read; without it they register again")
            self._number = number
        return self._page

    def at(self, place):
        """Who is at a place: (ProductKey, DeviceName, DeviceSecret), or None."""
        text = self.page(place // PAGE).text(place % PAGE)
        return text and tuple(text.split(" "))

    def find(self, batch):
        """The stored ones of `batch`: dict of (ProductKey, DeviceName) to (place, DeviceSecret).

        batch: a list of (ProductKey, DeviceName). Reads pages until all are found. Those beyond
        `searched` hold what was saved meanwhile: a list without doubles has nobody in them.
        """
        found = {}  # type: dict
        start = self._at
        count = min(self.searched, self.pages)
        for ahead in range(count):
            if len(found) == len(batch):
                break
            number = (start + ahead) % count
            page = self.page(number)
            for names in batch:
                place = page.place(names)
                if place is not None and names not in found:
                    found[names] = (number * PAGE + place, page.text(place).split(" ")[2])
                    self._at = number
        return found

    def save(self, batch, known):
        """Store certificates durably: in a place of their own, or that of their older selves.

        batch: dict of (ProductKey, DeviceName) to DeviceSecret. known: what `find` gives for
        them; gets what is stored. Each page is written whole or not at all, and read back. Raises
        StoreError; pages written before are kept then.
        """
        new = [names for names in batch if names not in known]
        for number in {known[names][0] // PAGE for names in batch if names in known}:
            places = {}
            for names in batch:
                if names in known and known[names][0] // PAGE == number:
                    places[known[names][0] % PAGE] = names
            self._put(number, places, batch, known)
        # The last page with room, then new pages; once there can be no more, any with room.
        start = max(self.pages - 1, 0)
        for ahead in range(PAGES):
            if not new:
                return
            number = (start + ahead) % PAGES
            places = {}
            for place, taken in enumerate(self.page(number).at):
                if new and not taken:
                    places[place] = new.pop(0)
            if places:
                self._put(number, places, batch, known)
        if new:
            raise StoreError("{}: no room for more than {}".format(self.folder, PAGE * PAGES))

    def _put(self, number, places, batch, known):
        self._write(
            number, {p: "{} {} {}".format(*places[p], batch[places[p]]) for p in places}
        )
        for place in places:
            names = places[place]
            known[names] = (number * PAGE + place, batch[names])

    def remove(self, batch):
        """Forget the certificates of `batch`, a list of (ProductKey, DeviceName)."""
        places = [place for place, _ in self.find(batch).values()]
        for number in {place // PAGE for place in places}:
            self._write(number, {p % PAGE: None for p in places if p // PAGE == number})

    def _write(self, number, changes):
        """Replace a page by one with changes: dict of place in it to text, None being nothing."""
        page = self.page(number)
        path = self._path(number)
        try:
            os.mkdir(self.folder)
        except OSError:
            pass  # it is there; or the write that follows says what is wrong
        try:
            if number in self._next:
                os.rename(path + _NEW, path)
                self._next.remove(number)
            crc = whole = 0
            mark = "{"
            with open(path + _NEW, "wb") as file:
                for place in _places():
                    text = changes[place] if place in changes else page.text(place)
                    if text:
                        crc = _add(crc, str(place) + text)
                        piece = '{}"{}": {}'.format(mark, place, json.dumps(text))
                        file.write(piece)
                        whole = _add(whole, piece)
                        mark = ", "
                piece = '{}"check": "{}"}}'.format(mark, _hex(crc))
                file.write(piece)
                whole = _add(whole, piece)
            _prove(path + _NEW, path, whole)
            os.rename(path + _NEW, path)
            _prove(path, path, whole)
        except OSError as e:
            raise StoreError("{}: cannot be written (error {})".format(path, e.args[0]))
        finally:
            self._page = None
            self._number = -1
        self.pages = max(self.pages, number + 1)


def _add(crc, text):
    return binascii.crc32(text.encode(), crc)


def _hex(crc):
    return "{:08x}".format(crc & 0xFFFFFFFF)


def _prove(path, name, expected):
    """Read a file back. expected: CRC-32 of what was written."""
    crc = 0
    piece = memoryview(bytearray(128))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(piece)
            if not count:
                break
            crc = binascii.crc32(piece[:count], crc)
    if crc != expected:
        raise StoreError(name + ": flash did not keep what was written")
