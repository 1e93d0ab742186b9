"""Writes the pages of `store` atomically and durably, and reads them back."""

from micropython import const

from .. import StoreError, binascii, json, os
from .store import add, in_order

_PAGE = const(30)  # as in `store`
_PAGES = const(67)  # 2,010 places for at most 2,000 sub-devices (platform docs "Limits")
_MOST = const(64)  # characters of a DeviceSecret


def restore(store):
    """Make up for renames that a power cut prevented; see `records.load`."""
    for number in list(store.successors):
        path = store.path(number)
        try:
            if not store.load(path + ".new"):
                store.successors.remove(number)
                continue
            os.rename(path + ".new", path)
            store.successors.remove(number)
        except OSError:
            pass  # a flash that cannot be written can still be read


def save(store, batch, known):
    """Store certificates durably, each in a free place or in that of its predecessor.

    batch: dict of (ProductKey, DeviceName) to DeviceSecret; invalid secrets are removed from it.
    known: what `Store.find` returned for them; updated with what has been stored. Each page is
    written atomically and read back. Raises StoreError; pages written before that stay written.
    """
    for names in list(batch):
        secret = batch[names]
        if not isinstance(secret, str) or not 0 < len(secret) <= _MOST or " " in secret:
            del batch[names]
    new = [names for names in batch if names not in known]
    old = [names for names in batch if names in known]
    while old:
        number = known[old[0]][0] // _PAGE
        places = {known[n][0] % _PAGE: n for n in old if known[n][0] // _PAGE == number}
        old = [names for names in old if names not in places.values()]
        replace(store, number, places, batch, known)
    # The last page if it has room, then new pages; when no more are possible, any with room.
    start = max(store.pages - 1, 0)
    for ahead in range(_PAGES):
        if not new:
            return
        number = (start + ahead) % _PAGES
        places = {}
        for place, taken in enumerate(store.page(number).at):
            if new and not taken:
                places[place] = new.pop(0)
        if places:
            replace(store, number, places, batch, known)
    if new:
        raise StoreError("{}: no room for more than {}".format(store.folder, _PAGE * _PAGES))


def remove(store, batch):
    """Delete the certificates of `batch`, a list of (ProductKey, DeviceName)."""
    old = [at for at, _ in store.find(batch).values()]
    while old:
        number = old[0] // _PAGE
        places = {at % _PAGE: None for at in old if at // _PAGE == number}
        old = [at for at in old if at // _PAGE != number]
        replace(store, number, places, {}, {})


def replace(store, number, places, batch, known):
    """Write a new version of a page.

    places: dict of place in the page to the sub-device that it now holds, or None. batch, known:
    as in `save`.
    """
    page = store.page(number)
    path = store.path(number)
    if not store.pages:
        try:
            os.mkdir(store.folder)
        except OSError:
            pass  # it exists; if not, the write that follows fails and says why
    try:
        if number in store.successors:
            os.rename(path + ".new", path)
            store.successors.remove(number)
        crc = whole = 0
        mark = "{"
        with open(path + ".new", "wb") as file:
            for place in in_order():
                names = places.get(place)
                text = names and " ".join(names) + " " + batch[names]
                if place not in places:
                    text = page.text(place)
                if text:
                    crc = add(crc, str(place) + text)
                    piece = '{}"{:d}": {}'.format(mark, place, json.dumps(text))
                    file.write(piece)
                    whole = add(whole, piece)
                    mark = ", "
            piece = mark + '"check": "{:08x}"}}'.format(crc)
            file.write(piece)
            whole = add(whole, piece)
        _check(path + ".new", path, whole)
        os.rename(path + ".new", path)
        _check(path, path, whole)
    except OSError as e:
        raise StoreError("{}: cannot be written (error {})".format(path, e.args[0]))
    finally:
        store.close()
    store.pages = max(store.pages, number + 1)
    for place in places:
        if places[place]:
            known[places[place]] = (number * _PAGE + place, batch[places[place]])


def _check(path, name, expected):
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
