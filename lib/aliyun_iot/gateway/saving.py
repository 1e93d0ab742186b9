"""Writes the pages of `store`: durably, whole or not at all, and read back."""

from micropython import const

from .. import StoreError, binascii, json, os
from .store import NEW, PAGE, PAGES, add, hexed, places

_MOST = const(64)  # characters of a DeviceSecret


def adopt(store):
    """Make up for renames that a power cut kept from happening; see `records.load`."""
    for number in list(store.successors):
        path = store.path(number)
        try:
            if not store.load(path + NEW):
                store.successors.remove(number)
                continue
            os.rename(path + NEW, path)
            store.successors.remove(number)
        except OSError:
            pass  # a flash that cannot be written can still be read: go on with what it holds


def save(store, batch, known):
    """Store certificates durably: in a place of their own, or that of their older selves.

    batch: dict of (ProductKey, DeviceName) to DeviceSecret; what cannot be one is taken out. known:
    what `Store.find` gives for them; gets what is stored. Each page is written whole or not at
    all, and read back. Raises StoreError; pages written before are kept then.
    """
    for names in list(batch):
        secret = batch[names]
        if not isinstance(secret, str) or not 0 < len(secret) <= _MOST or " " in secret:
            del batch[names]
    new = [names for names in batch if names not in known]
    for number in {known[names][0] // PAGE for names in batch if names in known}:
        places = {}
        for names in batch:
            if names in known and known[names][0] // PAGE == number:
                places[known[names][0] % PAGE] = names
        _put(store, number, places, batch, known)
    # The last page with room, then new pages; once there can be no more, any with room.
    start = max(store.pages - 1, 0)
    for ahead in range(PAGES):
        if not new:
            return
        number = (start + ahead) % PAGES
        places = {}
        for place, taken in enumerate(store.page(number).at):
            if new and not taken:
                places[place] = new.pop(0)
        if places:
            _put(store, number, places, batch, known)
    if new:
        raise StoreError("{}: no room for more than {}".format(store.folder, PAGE * PAGES))


def _put(store, number, places, batch, known):
    _write(store, number, {p: "{} {} {}".format(*places[p], batch[places[p]]) for p in places})
    for place in places:
        names = places[place]
        known[names] = (number * PAGE + place, batch[names])


def remove(store, batch):
    """Forget the certificates of `batch`, a list of (ProductKey, DeviceName)."""
    places = [place for place, _ in store.find(batch).values()]
    for number in {place // PAGE for place in places}:
        _write(store, number, {p % PAGE: None for p in places if p // PAGE == number})


def _write(store, number, changes):
    """Replace a page by one with changes: dict of place in it to text, None being nothing."""
    page = store.page(number)
    path = store.path(number)
    if not store.pages:
        try:
            os.mkdir(store.folder)
        except OSError:
            pass  # it is there; or the write that follows says what is wrong
    try:
        if number in store.successors:
            os.rename(path + NEW, path)
            store.successors.remove(number)
        crc = whole = 0
        mark = "{"
        with open(path + NEW, "wb") as file:
            for place in places():
                text = changes[place] if place in changes else page.text(place)
                if text:
                    crc = add(crc, str(place) + text)
                    piece = '{}"{}": {}'.format(mark, place, json.dumps(text))
                    file.write(piece)
                    whole = add(whole, piece)
                    mark = ", "
            piece = '{}"check": "{}"}}'.format(mark, hexed(crc))
            file.write(piece)
            whole = add(whole, piece)
        _prove(path + NEW, path, whole)
        os.rename(path + NEW, path)
        _prove(path, path, whole)
    except OSError as e:
        raise StoreError("{}: cannot be written (error {})".format(path, e.args[0]))
    finally:
        store.release()
    store.pages = max(store.pages, number + 1)


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
